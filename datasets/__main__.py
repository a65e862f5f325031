"""`python -m datasets +pipeline=dataset_<name>|study_<dataset> [key=value ...]`."""

from conf.entry import find_job, main

if __name__ == "__main__":
    main("datasets", find_job)

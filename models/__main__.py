"""`python -m models +pipeline=study_<model>|predict_<model> [key=value ...]`."""

from conf.entry import find_job, main

if __name__ == "__main__":
    main("models", find_job)

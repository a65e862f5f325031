"""`python -m datasets +pipeline=dataset_<name>|study_<dataset> [key=value ...]`."""

from conf.entry import main
from train.jobs import find

if __name__ == "__main__":
    main("datasets", find)

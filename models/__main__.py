"""`python -m models +pipeline=study_<model>|predict_<model> [key=value ...]`."""

from conf.entry import main
from train.jobs import find

if __name__ == "__main__":
    main("models", find)

"""`python -m train +pipeline=train_<name> env=development|production [key=value ...]`."""

from conf.entry import find_train, main

if __name__ == "__main__":
    main("train", find_train)

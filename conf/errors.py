"""The exception for mistakes that a user can correct."""


class UserError(Exception):
    """Bad input: a setting, a file, a service.

    The message names the key or file, its value and how to correct it.

    The entry points print the message alone, without a traceback, and exit with status 1.
    """

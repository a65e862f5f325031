"""The one exception for what a user can mend."""


class UserError(Exception):
    """Bad input: a setting, a file, a service.

    The message names the thing, the value and the way out.

    The entry points print the message alone, without a traceback, and exit with status 1.
    """

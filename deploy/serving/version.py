"""The version of the project: services name it, and so do the documentation and `CITATION.cff`.

It stands here because a Bento takes along `deploy/` and the reader of images alone. `CHANGELOG.md`
says what each version brought.
"""

VERSION = "0.1.0"

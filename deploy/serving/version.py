"""The version of the project, in services, in the documentation and in `CITATION.cff`.

It stands here because a Bento contains only `deploy/serving`, its deployment and the reader of
images. `CHANGELOG.md` says what each version brought.
"""

VERSION = "0.1.0"

#!/usr/bin/env bash
# Put this deployment into ECR; --help lists the options, which are those of deploy/ecr.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(basename "$here")
model=$(basename "$(dirname "$here")")
exec bash "$here/../../ecr.sh" --deployment "$model/$version" "$@"

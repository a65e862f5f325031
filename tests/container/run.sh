#!/usr/bin/env bash
# The container test: ecr.sh with a real podman, and a registry that stands in for ECR.
#
#     make test-container      # as root on Debian, with the packages that it names; minutes
#
# Here is only its world: private mounts and processes, a base image made of Debian packages, AWS
# as moto plays it, and a registry with TLS and a password under the name that ECR would have. The
# checks are in tests/deploy/test_container.py.
set -Eeuo pipefail

skip() {
    echo "container test: skipped: $*"
    exit 0
}

((EUID == 0)) || skip "it needs root, for mounts of its own"
missing=()
for program in podman runc mmdebstrap docker-registry openssl curl unshare; do
    [[ $(command -v "$program") ]] || missing+=("$program")
done
((${#missing[@]} == 0)) || skip "apt install ${missing[*]}"
if [[ ! ${IN_NAMESPACE-} ]]; then
    unshare --mount --pid --fork --mount-proc true 2>/dev/null ||
        skip "this machine allows no namespaces of its own"
    IN_NAMESPACE=yes exec unshare --mount --pid --fork --kill-child --mount-proc \
        --propagation private bash "$0" "$@"
fi

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH=$PWD/.venv/bin:$PATH
# In memory where possible: podman's overlays cannot lie on another overlay, as of a CI container.
world=$(mktemp -d "${SONDA_CONTAINER_DIR:-/dev/shm}/sonda.XXXXXX")
export TMPDIR=$world/tmp
mkdir "$TMPDIR"

step() { printf '== %4d s: %s\n' "$SECONDS" "$*"; }

cleanup() {
    local status=$?
    ((status == 0)) || tail -n 30 "$world"/*.log || true
    podman rm -fa -t 3 >/dev/null 2>&1 || true
    podman system reset -f >/dev/null 2>&1 || true
    umount -R "$world" 2>/dev/null || true
    rm -rf "$world"
    step "container test: exit status $status"
}
trap cleanup EXIT

# What pip and uv need to find packages on this machine, as lines VARIABLE=value.
package_settings() {
    python - <<'PYTHON'
import subprocess, sys
sys.path.insert(0, ".ci")
from run_uv import pip_options, uv_environment
command = [sys.executable, "-m", "pip", "config", "list"]
options = pip_options(subprocess.check_output(command, text=True))
options.pop("cert", None)
options.pop("constraint", None)  # a file of this machine, and all that is installed is pinned
settings = uv_environment(options, {})
settings |= {"PIP_" + key.upper().replace("-", "_"): value for key, value in options.items()}
certificates = "/etc/ssl/certs/ca-certificates.crt"
settings |= {name: certificates for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")}
print("\n".join(f"{name}={value}" for name, value in settings.items()))
PYTHON
}

step "settings of podman"
mapfile -t settings < <(package_settings)
# Folders of packages on this machine are where they are in the containers as well.
folders=$(printf '%s\n' "${settings[@]}" | grep -oE '(file://|[=,])/[^ ,]+' |
    sed -E 's,^(file://|[=,]),,' | sort -u)
volumes=''
for folder in $folders; do
    folder=${folder%/simple} # an index of files lies beside them
    [[ ! -d $folder ]] || volumes+="\"$folder:$folder:ro\", "
done
cat >"$world/containers.conf" <<CONF
[containers]
netns = "host"
default_ulimits = ["nofile=4096:4096", "nproc=32768:32768"]
volumes = [${volumes%, }]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
cat >"$world/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$world/graph"
runroot = "$world/run"
CONF
echo '{}' >"$world/auth.json"
export CONTAINERS_CONF=$world/containers.conf CONTAINERS_STORAGE_CONF=$world/storage.conf
export REGISTRY_AUTH_FILE=$world/auth.json

step "base image"
# shellcheck disable=SC2016 # $1 is the root of the new system, for mmdebstrap's shell
mmdebstrap --variant=minbase --quiet \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --include=ca-certificates,python3,python3-pip,python3-venv \
    --customize-hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED' \
    --customize-hook='ln -s python3 "$1/usr/bin/python"' \
    --customize-hook='
        authorities=/usr/local/share/ca-certificates
        for file in $authorities/*.crt; do [ ! -f "$file" ] || cp "$file" "$1$authorities"; done
        chroot "$1" update-ca-certificates' \
    bookworm "$world/base.tar" >"$world/base.log" 2>&1
changes=()
for setting in "${settings[@]}"; do
    changes+=(--change "ENV ${setting%%=*}=\"${setting#*=}\"")
done
podman import -q "${changes[@]}" "$world/base.tar" docker.io/library/python:3.11-slim
rm "$world/base.tar"

step "AWS and registry"
port=$(python -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
export AWS_ENDPOINT_URL=http://127.0.0.1:$port AWS_DEFAULT_REGION=us-east-1
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing
moto_server -H 127.0.0.1 -p "$port" >"$world/moto.log" 2>&1 &
curl -fs --retry 60 --retry-connrefused --retry-delay 1 -o /dev/null "$AWS_ENDPOINT_URL/moto-api/"
account=$(aws sts get-caller-identity --query Account --output text)
host=$account.dkr.ecr.$AWS_DEFAULT_REGION.amazonaws.com
aws ecr get-login-password | python -c '
import sys, bcrypt
print("AWS:" + bcrypt.hashpw(sys.stdin.read().strip().encode(), bcrypt.gensalt(10)).decode())
' >"$world/htpasswd"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$host" \
    -addext "subjectAltName=DNS:$host" -keyout "$world/tls.key" -out "$world/tls.crt" 2>/dev/null
cat /etc/ssl/certs/ca-certificates.crt "$world/tls.crt" >"$world/ca.pem"
export SSL_CERT_FILE=$world/ca.pem
cat >"$world/registry.yml" <<CONF
version: 0.1
storage: {filesystem: {rootdirectory: $world/registry}}
http: {addr: "127.0.0.1:443", secret: test, tls: {certificate: $world/tls.crt, key: $world/tls.key}}
auth: {htpasswd: {realm: ecr, path: $world/htpasswd}}
CONF
# The registry takes variables that begin with REGISTRY_ for its own settings.
env -u REGISTRY_AUTH_FILE docker-registry serve "$world/registry.yml" >"$world/registry.log" 2>&1 &
{ cat /etc/hosts && echo "127.0.0.1 $host"; } >"$world/hosts"
mount --bind "$world/hosts" /etc/hosts
status=$(curl -s --retry 30 --retry-connrefused --retry-delay 1 --cacert "$world/ca.pem" \
    -o /dev/null -w '%{http_code}' "https://$host/v2/")
[[ $status == 401 ]] || { echo "the registry answers $status without a password"; exit 1; }

step "checks"
SONDA_CONTAINER_TEST=$host python -m pytest -p no:cacheprovider tests/deploy/test_container.py "$@"

#!/usr/bin/env bash
# Put a deployment into ECR: import its model, build the Bento, make an image of it, push it.
# The last line of stdout is the URI of the image; everything else goes to stderr.
set -Eeuo pipefail

usage() {
    cat <<'TEXT'
Usage: deploy/<model>/V<N>/ecr.sh [options]
       deploy/ecr.sh --deployment <model>/V<N> [options]

  --ecr-name NAME           repository in ECR, created if there is none (MODEL of the deployment's
                            common.py, in small letters)
  --backend docker|podman   what builds and pushes the image (podman)
  --region REGION           region of AWS (AWS_REGION, AWS_DEFAULT_REGION, or that of aws configure)
  --tag TAG                 tag of the image (latest); a second tag, of git revision and Bento, is
                            never given again
  --model-uri URI           runs:/... or models:/... in MLflow (the champion)
  --dry-run                 print the commands in their order; changes nothing, only asks AWS
  --help                    show this

The account is that of the credentials of AWS, the model that of MLFLOW_TRACKING_URI.
TEXT
}

die() {
    echo "ecr.sh: $*" >&2
    exit 1
}

misused() {
    echo "ecr.sh: $* (--help lists the options)" >&2
    exit 2
}

# step WHAT COMMAND...: run the command, or only print it in a dry run; name WHAT where it fails.
step() {
    local what=$1 line
    shift
    if [[ $dry_run ]]; then
        line=$(printf '%q ' "$@")
        printf '%s\n' "${line% }" >&3
        return
    fi
    echo "== $what" >&2
    "$@" || die "$what: failed with exit status $?, for the reason above"
}

# The name that the deployment registers its model by; ECR takes no capitals.
default_name() {
    python -c 'import runpy, sys; print(runpy.run_path(sys.argv[1])["MODEL"].lower())' \
        "deploy/$deployment/common.py" || die "deploy/$deployment/common.py names no MODEL: see above"
}

word='[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*' # of a repository: AWS CLI, `aws ecr create-repository`
deployment='' name='' backend=podman region='' tag=latest model_uri='' dry_run=''
while (($#)); do
    case $1 in
        --help | -h) usage && exit ;;
        --dry-run) dry_run=yes && shift && continue ;;
        --deployment | --ecr-name | --backend | --region | --tag | --model-uri) ;;
        *) misused "unknown option $1" ;;
    esac
    [[ ${2-} && ${2-} != --* ]] || misused "$1 needs a value"
    case $1 in
        --deployment) deployment=$2 ;;
        --ecr-name) name=$2 ;;
        --backend) backend=$2 ;;
        --region) region=$2 ;;
        --tag) tag=$2 ;;
        --model-uri) model_uri=$2 ;;
    esac
    shift 2
done

exec 3>&1 1>&2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
[[ ! -d .venv/bin ]] || PATH=$root/.venv/bin:$PATH
export AWS_PAGER='' BENTOML_DO_NOT_TRACK=${BENTOML_DO_NOT_TRACK:-true}
export TERM=dumb COLUMNS=500 # or the tag of the Bento could come coloured, or in two lines

# Everything that can be known to be wrong is said before anything is changed.
[[ $deployment ]] || misused "--deployment is missing"
[[ $backend == docker || $backend == podman ]] || misused "--backend $backend: docker or podman"
[[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] || misused "--tag $tag is not a tag of an image"
bentofile=deploy/$deployment/bentofile.yaml
[[ -f $bentofile ]] || misused "--deployment $deployment: there is no $root/$bentofile"
for program in aws bentoml git python; do
    [[ $(command -v "$program") ]] ||
        die "$program is missing: make setup installs it, or put it on the PATH"
done
[[ $name ]] || name=$(default_name)
[[ $name =~ ^$word(/$word)*$ && ${#name} -ge 2 && ${#name} -le 256 ]] ||
    misused "--ecr-name $name is not a name of a repository: 2 to 256 small letters and digits," \
        "with . _ - or / between them"
[[ $(command -v "$backend") ]] || die "$backend is missing: install it, or choose another --backend"
"$backend" info >/dev/null || die "$backend does not work: see above; is its service running?"

{ revision=$(git rev-parse --verify HEAD) && changes=$(git status --porcelain -- deploy \
    datasets/__init__.py datasets/common/__init__.py datasets/common/images); } ||
    die "git names no revision of $root: the image is tagged by it"
[[ ! $changes ]] || revision=$revision-dirty

[[ $region ]] || region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
[[ $region ]] || die "no region: give --region, set AWS_REGION, or run aws configure"
account=$(aws sts get-caller-identity --region "$region" --query Account --output text) ||
    die "AWS names no account, asked in $region: are there valid credentials (aws configure)?"
domain=amazonaws.com
[[ $region != cn-* ]] || domain=amazonaws.com.cn
registry=$account.dkr.ecr.$region.$domain
image=$registry/$name

if ! refusal=$(aws ecr describe-repositories --region "$region" --repository-names "$name" \
    2>&1 >/dev/null); then
    [[ $refusal == *RepositoryNotFoundException* ]] ||
        die "looking for the repository $name: $refusal"
    step "creating the repository $name" aws ecr create-repository --region "$region" \
        --repository-name "$name" --query repository.repositoryUri --output text \
        --image-scanning-configuration scanOnPush=true \
        --image-tag-mutability IMMUTABLE_WITH_EXCLUSION \
        --image-tag-mutability-exclusion-filters "filterType=WILDCARD,filter=$tag"
fi

# Before the build, which takes minutes: who may not push learns it now.
password=$(step "asking for a password" aws ecr get-login-password --region "$region")
step "logging in to $registry" \
    "$backend" login --username AWS --password-stdin "$registry" <<<"$password"
log_out() { step "logging out of $registry" "$backend" logout "$registry"; }
trap log_out EXIT

imported=$(step "importing the model" \
    python "deploy/$deployment/create_bento_model.py" ${model_uri:+--model-uri "$model_uri"})
printf '%s' "${imported:+$imported$'\n'}"
# Which model it is, and of which training, stands in the Bento and in the image too.
labels=() annotations=(--opt "label=org.opencontainers.image.revision=$revision")
while IFS== read -r key value; do
    [[ $key == sonda.* && $value ]] || continue
    labels+=(--label "${key#sonda.}=${value:0:63}") # BentoML takes no more
    annotations+=(--opt "label=$key=$value")
done <<<"$imported"
built=$(step "building the Bento" bentoml build -f "$bentofile" "${labels[@]}" -o tag .)
bento=$(sed -n 's/^__tag__://p' <<<"$built")
[[ ! $dry_run ]] || bento=BENTO_TAG
[[ $bento ]] || die "building the Bento: bentoml build printed no __tag__:name:version, but: $built"
unique=$revision-${bento##*:}
step "making the image of $bento" bentoml containerize "$bento" --backend "$backend" \
    --image-tag "$image:$tag" --image-tag "$image:$unique" "${annotations[@]}"
step "pushing $image:$tag" "$backend" push "$image:$tag"
step "pushing $image:$unique" "$backend" push "$image:$unique"
trap - EXIT
log_out

printf '%s\n' "$image:$tag" >&3

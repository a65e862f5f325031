"""ecr.sh against AWS as moto plays it, with the real aws and bentoml.

Only docker and podman are played by a few lines of shell that note how they were called. The
container test puts real ones in their place.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.common import ROOT, deployments, log_smallest
from tests.deploy.common import MODEL, names
from tests.deploy.site import (
    NO_KEYS,
    REGION,
    REGISTRY,
    SCRIPT,
    Site,
    committed,
    new_site,
    repositories,
    revision,
)
from tests.servers import moto

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an AWS of our own."""
    with moto(tmp_path_factory.mktemp("aws")) as address:
        yield address


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return committed(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def site(aws: str, checkout: Path, tmp_path: Path) -> Site:
    return new_site(aws, checkout, tmp_path)


@pytest.fixture
def champion(site: Site, tmp_path: Path) -> str:
    """The run of a champion that is the smallest ONNX graph there is."""
    import mlflow

    uri = site.environment["MLFLOW_TRACKING_URI"]
    facts = {"metadata": {"classes": ["a", "b"]}}
    run = log_smallest(uri, tmp_path / "artifacts", registered_model_name=MODEL, **facts)
    mlflow.MlflowClient(uri).set_registered_model_alias(MODEL, "champion", "1")
    return run


def commands(text: str) -> list[str]:
    """The first words of each line of a dry run, but for the last line, the URI."""
    return [" ".join(line.split()[:3]) for line in text.splitlines()[:-1]]


def test_a_dry_run_prints_the_commands_in_order_and_changes_nothing(site: Site) -> None:
    extra = site.root / "deploy" / "serving" / "extra.py"  # not committed, so the tag says dirty
    extra.write_text("")
    try:
        done = site.run(
            *("--ecr-name", "team/dry", "--region", REGION, "--dry-run", "--tag", "v1"),
            *("--model-uri", "models:/m/1 2"),
        )
    finally:
        extra.unlink()
    assert done.returncode == 0, done.stderr
    assert commands(done.stdout) == [
        "aws ecr create-repository",
        "aws ecr get-login-password",
        "podman login --username",
        "python deploy/resnet50v2ft/V1/create_bento_model.py --model-uri",
        "bentoml build -f",
        "bentoml containerize BENTO_TAG",
        f"podman push {REGISTRY}/team/dry:v1",
        f"podman push {REGISTRY}/team/dry:{revision(site)}-dirty-BENTO_TAG",
        f"podman logout {REGISTRY}",
    ]
    assert r"--model-uri models:/m/1\ 2" in done.stdout, "an argument is one word for the shell"
    assert done.stdout.splitlines()[-1] == f"{REGISTRY}/team/dry:v1"
    assert "team/dry" not in repositories(site)
    assert site.calls() == []


@pytest.mark.parametrize("deployment", deployments())
def test_every_deployment_has_a_repository_of_its_own_name(deployment: str, site: Site) -> None:
    home = site.root / "deploy" / deployment
    done = site.type(["./ecr.sh", "--backend", "podman", "--dry-run"], home, AWS_REGION=REGION)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{REGISTRY}/{names(deployment)['MODEL']}:latest"


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        ('MODEL = "myNet-myImages"\n', 0, ""),
        ('MODEL = "my net"\n', 2, "--ecr-name my net is not a name of a repository"),
        ("LABELS = {}\n", 1, "deploy/myNet/V1/common.py names no MODEL: see above"),
    ],
)
def test_a_name_in_camel_case_is_made_small(
    content: str, status: int, reason: str, site: Site
) -> None:
    home = site.root / "deploy" / "myNet" / "V1"
    shutil.copytree((site.root / SCRIPT).parent, home)
    try:
        (home / "common.py").write_text(content)
        done = site.type(["./ecr.sh", "--dry-run"], home, AWS_REGION=REGION)
    finally:
        shutil.rmtree(home.parent)
    assert done.returncode == status, done.stderr
    assert reason in done.stderr
    uris = [] if status else [f"{REGISTRY}/mynet-myimages:latest"]
    assert done.stdout.splitlines()[-1:] == uris


def test_a_repository_is_created_once_and_no_image_is_made_without_a_champion(site: Site) -> None:
    (site.played / "login-fails").touch()
    first = site.run("--ecr-name", "once", "--region", REGION)
    assert first.returncode == 1
    assert "== creating the repository once" in first.stderr
    assert "login is refused" in first.stderr
    assert f"logging in to {REGISTRY}: failed with exit status 7" in first.stderr
    assert first.stdout == ""
    assert "once" in repositories(site)

    (site.played / "login-fails").unlink()
    second = site.run("--ecr-name", "once", "--region", REGION)
    assert second.returncode == 1
    assert "creating" not in second.stderr
    assert "importing the model: failed with exit status 1" in second.stderr
    assert "there is no" in second.stderr
    assert [call.split()[1] for call in site.calls()] == ["login", "logout"]
    made = repositories(site)["once"]
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert made["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert made["imageTagMutabilityExclusionFilters"] == [
        {"filterType": "WILDCARD", "filter": "latest"}
    ]


def test_the_region_is_taken_from_aws(site: Site) -> None:
    def region(*arguments: str, **variables: str) -> str:
        done = site.run("--ecr-name", "any", *arguments, **variables, **NO_KEYS)
        [name] = re.findall(r"AWS names no account, asked in (\S+):", done.stderr)
        return str(name)

    (folder := Path(site.environment["HOME"], ".aws")).mkdir()
    (folder / "config").write_text("[default]\nregion = ap-south-1\n")
    assert region() == "ap-south-1"
    assert region(AWS_DEFAULT_REGION="sa-east-1") == "sa-east-1"
    assert region("--region", "us-west-2", AWS_REGION="sa-east-1") == "us-west-2"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--ecr-nam", "x"], "unknown option --ecr-nam "),
        (["x"], "unknown option x "),
        (["--ecr-name"], "--ecr-name needs a value"),
        (["--ecr-name", "--dry-run"], "--ecr-name needs a value"),
        (["--ecr-name", "Team/dry"], "--ecr-name Team/dry is not a name of a repository: 2 to 256"),
        (["--ecr-name", "a"], "--ecr-name a is not a name of a repository"),
        (["--ecr-name", "a" * 257], "--ecr-name a+ is not a name of a repository"),
        (["--ecr-name", "team//dry"], "--ecr-name team//dry is not a name"),
        (["--ecr-name", "a;id"], "--ecr-name a;id is not a name"),
        (["--ecr-name", "any", "--backend", "buildah"], "--backend buildah: docker or podman"),
        (["--ecr-name", "any", "--tag", "a:b"], "--tag a:b is not a tag"),
        (
            ["--ecr-name", "any", "--deployment", "n/V9"],
            "--deployment n/V9: there is no .*bentofile",
        ),
    ],
)
def test_a_misused_option_is_named(arguments: list[str], reason: str, site: Site) -> None:
    done = site.run(*arguments)
    assert done.returncode == 2
    assert re.search(reason, done.stderr), done.stderr
    assert "--help" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "variables", "reason"),
    [
        ([], {}, "no region: give --region"),
        (["--region", REGION], NO_KEYS, "are there valid credentials"),
        (
            ["--region", REGION],
            {"AWS_ENDPOINT_URL_ECR": "http://127.0.0.1:9"},
            "looking for the repository any: .*Could not connect",
        ),
        (["--region", REGION], {"GIT_DIR": "/dev/null"}, "git names no revision"),
        (["--region", REGION], {"PATH": "/usr/bin:/bin"}, "(aws|bentoml|python) is missing: make"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_changed(
    arguments: list[str], variables: dict[str, str], reason: str, site: Site
) -> None:
    done = site.run("--ecr-name", "any", *arguments, **variables)
    assert done.returncode == 1
    assert re.search(reason, done.stderr, re.DOTALL), done.stderr
    assert done.stdout == ""
    assert site.calls() == []
    assert "any" not in repositories(site)


def test_a_backend_that_is_absent_or_down_is_named(site: Site) -> None:
    (site.played / "info-fails").touch()
    down = site.run("--ecr-name", "any", "--region", REGION)
    assert down.returncode == 1
    assert "podman does not work: see above; is its service running?" in down.stderr
    programs = Path(site.environment["PATH"].split(":")[0])
    (programs / "docker").unlink()
    plain = programs.with_name("plain")  # no docker that this machine may have
    plain.mkdir()
    for name in ("aws", "bentoml", "git", "python", "bash", "dirname", "basename"):
        (plain / name).symlink_to(shutil.which(name, path=site.environment["PATH"]) or name)
    absent = site.run(
        "--ecr-name", "any", "--region", REGION, "--backend", "docker", PATH=f"{programs}:{plain}"
    )
    assert absent.returncode == 1
    assert "docker is missing: install it, or choose another --backend" in absent.stderr


def test_an_image_is_made_of_a_bento_that_stands_alone(site: Site, champion: str) -> None:
    home = (site.root / SCRIPT).parent
    done = site.type(["./ecr.sh", "--backend", "podman"], home, AWS_REGION=REGION)
    assert done.returncode == 0, done.stderr
    image = f"{REGISTRY}/{MODEL}"
    assert done.stdout == f"{image}:latest\n"
    assert MODEL in repositories(site)
    assert f"{MODEL} version 1, run {champion}" in done.stderr
    login, build, *pushes, logout = site.calls()
    assert logout == f"podman logout {REGISTRY}"
    assert login == f"podman login --username AWS --password-stdin {REGISTRY}"
    assert build.startswith("podman build ")
    [unique] = re.findall(rf"{image}:({revision(site)}-\w+)", pushes[1])
    tags = ("latest", unique)
    assert all(f"{image}:{tag}" in build for tag in tags)
    facts = {"model": MODEL, "version": "1", "run_id": champion, "promotion": "none"}
    said = {f"sonda.{key}": value for key, value in facts.items()}
    said |= {"org.opencontainers.image.revision": revision(site)}
    assert all(re.search(rf"--label[= ]{key}={value}( |$)", build) for key, value in said.items())
    assert pushes == [f"podman push {image}:{tag}" for tag in tags]

    bento = site.played / "context"
    labels = yaml.safe_load((bento / "bento.yaml").read_text())["labels"]
    assert facts.items() <= labels.items()
    assert len(list((bento / "models").rglob("model.onnx"))) == 1
    homes = ("deploy/serving", "deploy/resnet50v2ft/V1", "datasets/common/images")
    around = {Path("datasets/__init__.py"), Path("datasets/common/__init__.py")}
    taken = {Path(home, name) for home in homes for name in files(site.root / home)}
    assert files(bento / "src") - {Path("bentofile.yaml")} == taken | around
    dockerfile = (bento / "env" / "docker" / "Dockerfile").read_text()
    assert not re.search(r"build-essential|gcc|apt-get", dockerfile)
    assert re.search(r"^USER bentoml$", dockerfile, re.MULTILINE)
    installed = (bento / "env" / "python" / "requirements.txt").read_text()
    assert re.search(r"^openvino==", installed, re.MULTILINE)
    assert re.search(r"^bentoml==", installed, re.MULTILINE)
    assert not re.search(r"^(tensorflow|keras|mlflow|torch|-)", installed, re.MULTILINE)


def files(folder: Path) -> set[Path]:
    """Files of `folder`, relative to it, but for compiled ones."""
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_every_deployment_calls_the_same_script() -> None:
    for script in (ROOT / "deploy").glob("*/V*/ecr.sh"):
        assert script.read_bytes() == (ROOT / SCRIPT).read_bytes(), script


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_the_scripts_pass_shellcheck() -> None:
    scripts = [*(ROOT / "deploy").rglob("*.sh"), *(ROOT / "tests").rglob("*.sh")]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

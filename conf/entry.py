"""The entry point of every command: compose and check the configuration, then call the job.

No package larger than Hydra is imported before the configuration is checked, so `--help`,
`--cfg job` and every mistake take about a second.
"""

import errno
import importlib
import os
import re
import signal
import sys
from collections.abc import Callable

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.choices import CONF, entry_of, experiments, instead, offered, pipelines
from conf.errors import UserError
from conf.redaction import guard
from conf.schema import register

CHOOSES = re.compile(r"-|\+*(pipeline|experiment)=")
"""Words of a command line that choose a pipeline or experiment, and flags of Hydra."""
TWO_PIPELINES = re.compile(r"Multiple values for pipeline|appears more than once in the final")
MISSING_CHOICE = re.compile(r"Could not find '(pipeline|experiment)/([^']*)'")


def check(config: DictConfig) -> DictConfig:
    """The composed `config`, merged again into the schema.

    Hydra does not check keys given as `+key=`. Here an unknown key, a value of a wrong type or a
    missing value raises `omegaconf.errors.OmegaConfBaseException` or `UserError`.
    """
    recipe = OmegaConf.get_type(config)
    assert recipe is not None  # the schema is the first of the defaults
    typed = {key: OmegaConf.get_type(config, key) for key in ("dataset", "model") if key in config}
    schema = OmegaConf.structured(recipe(**typed))
    merged = OmegaConf.merge(schema, OmegaConf.to_container(config, resolve=True))
    assert isinstance(merged, DictConfig)
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        keys = ", ".join(missing)
        raise UserError(f"no value for {keys}; give it on the command line: {missing[0]}=...")
    OmegaConf.set_readonly(merged, True)
    return merged


def explain(error: Exception, entry: str) -> str:
    """A message for `error` of Hydra or OmegaConf that names the key and the choices."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    lines = [str(cause).strip()]
    if isinstance(cause, OmegaConfBaseException):
        lines = lines[0].splitlines()[:1]
    key = getattr(cause, "full_key", None) or getattr(cause, "key", None)
    if key:
        lines.append(f"key: {key}")
    parent = getattr(cause, "parent_node", None)
    if isinstance(parent, DictConfig):
        known = [str(name) for name in parent]
        word = str(getattr(cause, "key", "") or "").split(".")[-1]
        if word and word not in known:
            lines += instead(word, known)
    if missing := MISSING_CHOICE.search(str(error)):
        group, name = missing.groups()
        known = pipelines(entry) if group == "pipeline" else experiments(entry)
        lines = [lines[0].split("\n")[0], *instead(name, known)]
    elif TWO_PIPELINES.search(str(error)):
        lines = ["an experiment brings its pipeline: give +experiment= or +pipeline=, not both"]
    elif "Key 'sweep' not in" in str(error):
        lines = [
            "+sweep= is for trainings of images; the training of a table searches its estimators "
            "by itself, and fit.candidates=40 tries more candidates"
        ]
    elif "Available options in" in str(error):
        head, _, options = str(error).partition("Available options in")
        names = options.split("Config search path")[0].split()[1:]
        shown = [name for name in names if not name.endswith("schema")]
        lines = [head.strip(), f"choices: {', '.join(shown)}"]
    elif "MLFLOW_TRACKING_URI" in str(error):
        lines = [
            "env=production needs the environment variable MLFLOW_TRACKING_URI, for example "
            "export MLFLOW_TRACKING_URI=http://mlflow.example:5000 (or sqlite:///mlflow.db); a "
            "server with accounts also needs MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        ]
    return "\n".join(lines)


def main(entry: str, find: Callable[[DictConfig], str]) -> None:
    """Run `python -m <entry>`: compose, check, call the function that is found for it.

    Exits with status 1 and a message on bad input, 130 on Ctrl-C or SIGTERM. No credential is
    printed, logged or written.
    """
    guard()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    register()
    nothing = f"no +pipeline= or +experiment= given; choices:\n{offered(entry)}"
    if not any(map(CHOOSES.match, sys.argv[1:])):
        sys.exit(f"error: {nothing}")

    def job(config: DictConfig) -> None:
        register()  # a launcher of Hydra may have started another process; it takes no result back
        chosen, known = HydraConfig.get().runtime.choices.get("pipeline"), pipelines(entry)
        if chosen is None:
            raise UserError(nothing)
        if chosen not in known:
            raise UserError(
                f"'{chosen}' is not for {entry}, but for python -m {entry_of(chosen)}; "
                f"choices: {', '.join(known)}"
            )
        config = check(config)
        module, _, function = find(config).rpartition(".")
        getattr(importlib.import_module(module), function)(config)

    job.__module__ = entry  # Hydra names the job and its output folder after it
    try:
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
    except UserError as error:
        sys.exit(f"error: {error}")
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {explain(error, entry)}")
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES):
            sys.exit(
                f"error: {error.filename or error}: {os.strerror(error.errno)}; env.cache= and "
                "hydra.run.dir= move what a run writes, dataset.path= what it reads"
            )
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(
            f"error: the disk is full ({error.filename or error}); free some space, then repeat "
            "the command: finished work is kept. env.cache=/a/larger/disk moves the large files"
        )
    except KeyboardInterrupt:
        print("stopped; the same command continues after the last finished work", file=sys.stderr)
        sys.exit(130)

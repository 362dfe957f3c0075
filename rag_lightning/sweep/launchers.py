"""Hydra's launchers, and what to install where one is missing."""

from rag_lightning.errors import UserError, nearest

# The pip package of each launcher; those without one come with Hydra.
PACKAGES = {
    "basic": "",
    "joblib": "hydra-joblib-launcher",
    "ray": "hydra-ray-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
}
EXTRAS = {"ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}


def no_launcher(name: str, why: str = "") -> UserError:
    """The error for a launcher that is not installed, or does not exist."""
    if name in PACKAGES and PACKAGES[name]:
        extra = f' or pip install "rag_lightning[{EXTRAS[name]}]"' if name in EXTRAS else ""
        version = "==1.4.0rc3"  # of the same line as Hydra; older ones do not load
        remedy = f"Install it: pip install {PACKAGES[name]}{version}{extra}."
        return UserError(f"the launcher {name} is not installed", where="hydra/launcher", remedy=remedy)
    close = nearest(name, list(PACKAGES))
    remedy = f"Did you mean {close[0]}? " if close else ""
    reason = f"no launcher named {name!r}" + (f" ({why.splitlines()[0]})" if why else "")
    return UserError(reason, where="hydra/launcher", remedy=f"{remedy}There are: {', '.join(PACKAGES)}.")

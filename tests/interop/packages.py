"""Examples with the packages that they need, in a folder of their own, so that nothing is installed into the project."""

import os
import shutil
import subprocess
import sys


def install(example, scratch):
    """Copies an example and installs its packages. Returns the copy, and a Python that has them."""
    copy = os.path.join(scratch, os.path.basename(example))
    shutil.copytree(example, copy, dirs_exist_ok=True)
    quiet = ["--silent", "--no-audit", "--no-fund", "--no-package-lock"]
    subprocess.run(["npm", "install", *quiet, "--prefix", copy], check=True)
    venv = os.path.join(scratch, "venv")
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", os.path.join(copy, "requirements.txt")], check=True)
    return copy, python

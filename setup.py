"""What pyproject.toml cannot say: where the packages lie when the links to them are missing.

The packages under src/deltawire are links to the folders beside this file. A zip archive, or a checkout without the
right to make links, has nothing or small text files in their place; then the folders themselves are named.
"""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
ROOMS = ("apiserver", "cli", "client", "common", "fifo", "handlers", "informer", "jetstream", "reflector")

packages = find_packages("src")
folders = {"": "src"}
for room in ROOMS:
    if (ROOT / "src" / "deltawire" / room / "__init__.py").is_file():
        continue
    if not (ROOT / room / "__init__.py").is_file():
        raise SystemExit(
            f"the package deltawire.{room} is missing: neither src/deltawire/{room} nor {room} is a folder of it"
        )
    folders[f"deltawire.{room}"] = room
    packages += [f"deltawire.{room}", *(f"deltawire.{room}.{name}" for name in find_packages(room))]

setup(packages=packages, package_dir=folders)

# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the site from the installed collection: its guides, and a page for each module, role, inventory and callback. It takes no network.

Give the directory to make it in. The site is in its subdirectory C(html). Warnings are errors.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
COLLECTION = "rstyczynski.ansible"
HOME = "https://github.com/rstyczynski/ansible"

# Where in the documentation of Ansible the labels are that our pages name. Sphinx complains of one that is missing here.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
    "callback_plugins": "plugins/callback.html",
    "list_of_callback_plugins": "collections/index_callback.html",
}
MODULE = r"ansible_collections\.ansible\.builtin\.(\w+_module)"
VARIABLE = r":envvar:`([A-Z_\\]+)"

CONF = """
html_static_path = [{here!r}]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {{
    "documentation_home_url": {home!r},
    "topbar_links": {{"Repository": {home!r}, "Ansible documentation": {ansible!r}}},
    "show_rtd_ethical_ads": False,
}}
# Lists of all that is in one collection, and of variables that Ansible itself reads
exclude_patterns = ["collections/index_*.rst", "collections/environment_variables.rst", "collections/deprecations.rst"]
# What there is to know of the pages of Ansible, so that nobody is asked.
intersphinx_mapping = {{"ansible": ({ansible!r}, "../ansible.inv")}}
"""


def main(directory: Path) -> None:
    """Make all of it in a directory."""
    sources = directory / "rst"
    sources.mkdir(parents=True, exist_ok=True)
    sources.chmod(0o755)  # antsibull-docs wants nobody else to write there
    index = directory / "index.rst"
    index.write_text(_index(), "utf-8")
    _run(
        *("antsibull-docs", "sphinx-init", "--dest-dir", directory, "--use-current", "--fail-on-error", "--index-rst-source", index),
        *("--no-add-antsibull-docs-version", "--project", COLLECTION, "--title", COLLECTION),
        *("--copyright", "The rstyczynski.ansible authors", COLLECTION),
    )
    with (directory / "conf.py").open("a", encoding="utf-8") as conf:
        conf.write(CONF.format(here=str(HERE / "site.css"), ansible=ANSIBLE, home=HOME))
    _run(
        *("antsibull-docs", "--config-file", directory / "antsibull-docs.cfg", "collection", "--use-current", "--fail-on-error"),
        *("--cleanup", "everything", "--dest-dir", sources, COLLECTION),
    )
    texts = [file.read_text("utf-8") for file in sources.rglob("*.rst")]
    (directory / "ansible.inv").write_bytes(_inventory("\n".join(texts)))
    _run("sphinx-build", "-b", "html", "-q", "-W", "--keep-going", "-c", directory, "-d", directory / "trees", sources, directory / "html")


def _index() -> str:
    """Return the first page, with the guides in the order of the collection's own index."""
    sections = yaml.safe_load((HERE.parent / "docsite/extra-docs.yml").read_text("utf-8"))["sections"]
    trees = []
    for section in sections:
        pages = "".join(f"   collections/{COLLECTION.replace('.', '/')}/docsite/{page}\n" for page in section["toctree"])
        trees.append(f".. toctree::\n   :caption: {section['title']}\n   :maxdepth: 1\n\n{pages}")
    return (HERE / "index.rst").read_text("utf-8").replace(".. The guides of extra-docs.yml come here.\n", "\n".join(trees))


def _inventory(text: str) -> bytes:
    """Return what a site of Sphinx tells others of its labels, for those of Ansible that a text names."""
    labels = dict(PAGES)
    for name in re.findall(MODULE, text):
        labels[f"ansible_collections.ansible.builtin.{name}"] = f"collections/ansible/builtin/{name}.html"
    lines = [f"{label} std:label -1 {page} -\n" for label, page in sorted(labels.items())]
    lines += [
        f"{name} std:envvar 1 {PAGES['ansible_configuration_settings']}#envvar-$ -\n"
        for name in sorted({name.replace("\\", "") for name in re.findall(VARIABLE, text)})
    ]
    head = "# Sphinx inventory version 2\n# Project: Ansible\n# Version: latest\n# The remainder of this file is compressed using zlib.\n"
    return head.encode() + zlib.compress("".join(lines).encode())


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\nThis has failed: {' '.join(map(str, command))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

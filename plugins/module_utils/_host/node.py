# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command of a node of a workflow: it gets files in the directory of its attempt, which nobody else can read.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import typing as t

from ansible_collections.rstyczynski.ansible.plugins.module_utils._host import command

DIRECTORY = "{async_workflow_directory}"
"""What stands for the directory of the attempt in words of the command and values of its environment."""

_CALLBACKS = "ANSIBLE_CALLBACK_PLUGINS"

# What ARA, where it records the playbook of a node, puts on it (its callback ara_default). We add what tells which attempt that is.
_LABELS = "ARA_DEFAULT_LABELS"

# How whoever drives the run wants to read our answers is nothing for the playbooks of its nodes. The command async-jobs also lets no tags
# leave out anything of its own playbook, and with that, the tags of a node would leave out nothing.
_OUTPUT = (
    "ANSIBLE_STDOUT_CALLBACK",
    "ASYNC_JOB_ANSWERS_FORMAT",
    "ASYNC_JOB_ANSWERS_DESCRIPTOR",
    "ANSIBLE_RUN_TAGS",
    "ANSIBLE_SKIP_TAGS",
)

# What ansible-runner, and so AWX, listens to: the events of its own playbook, and not those of a node.
_OF_RUNNER = "awx_display"


def main(
    node: dict[str, t.Any], options: dict[str, t.Any], directory: str, uses_shell: bool, shell: str, log: str, facility: str
) -> dict[str, t.Any]:
    """Run the command of a node as a module does that Ansible has started, and return its result. See :func:`run`.

    :arg log: what to say in the log of the host, and C(facility), see C(command.main)
    """
    command.settle(log, facility)
    return run(node, options=options, directory=directory, uses_shell=uses_shell, shell=shell)


def run(node: dict[str, t.Any], *, options: dict[str, t.Any], directory: str, uses_shell: bool, shell: str) -> dict[str, t.Any]:
    """Run the command of a node and wait for it. What it was given is gone then.

    :arg node: C(files), the text of each by its name; C(environment); and C(removed), the names of those files that go at the end
    :returns: what C(command.run) returns
    """
    try:
        for name, text in node["files"].items():
            descriptor = os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8", errors="surrogatepass") as file:
                file.write(text)
        os.environ.update({name: value.replace(DIRECTORY, directory) for name, value in node["environment"].items()})
        if os.environ.get(_OUTPUT[0]) == "rstyczynski.ansible.answers":
            for name in _OUTPUT:
                os.environ.pop(name, None)
        if os.environ.get(_OUTPUT[0]) == _OF_RUNNER:
            del os.environ[_OUTPUT[0]]
        words = options.get("argv")
        if words:
            options = {**options, "argv": [word.replace(DIRECTORY, directory) for word in words]}
        if _CALLBACKS in node["environment"]:
            project = options.get("chdir") or "."
            os.environ[_CALLBACKS] = ":".join([os.environ[_CALLBACKS], *_own_callbacks(project)])
            labels = [_OWN[_LABELS] or _configured(project, "ara", "default_labels")[0], node["environment"][_LABELS]]
            os.environ[_LABELS] = ",".join([*filter(None, labels), f"attempt:{os.path.basename(directory)}"])
        return command.run(options, directory, uses_shell=uses_shell, shell=shell)
    finally:
        for name in node["removed"]:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(directory, name))


_OWN = {name: os.environ.get(name) for name in (_CALLBACKS, _LABELS)}


def _own_callbacks(project: str) -> list[str]:
    """Return where the user's own callbacks are."""
    own = _OWN[_CALLBACKS]
    if own:
        return [own]
    line, directory = _configured(project, "defaults", "callback_plugins")
    return [os.path.join(directory, os.path.expanduser(place)) for place in line.split(":") if place] or _DEFAULT


def _configured(project: str, section: str, name: str) -> tuple[str, str]:
    """Return what a line of the configuration file of Ansible says, which our variable of the environment would hide, and where that is."""
    for file in (os.environ.get("ANSIBLE_CONFIG"), os.path.join(project, "ansible.cfg"), "~/.ansible.cfg", "/etc/ansible/ansible.cfg"):
        path = os.path.abspath(os.path.expanduser(file or ""))
        if not file or not os.path.isfile(path):
            continue
        parser = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None, strict=False)
        with contextlib.suppress(OSError, configparser.Error, UnicodeError):
            parser.read(path)
        return parser.get(section, name, fallback=""), os.path.dirname(path)
    return "", ""


_DEFAULT = [os.path.expanduser("~/.ansible/plugins/callback"), "/usr/share/ansible/plugins/callback"]

# PYTHON_ARGCOMPLETE_OK
# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command async-jobs: the playbooks of the collection rstyczynski.ansible, called like any other command.

It makes the command line of ansible-playbook, and becomes that. So it adds nothing of its own: signals, the terminal, exit codes and all
output are those of Ansible. What is given to it reaches the playbooks literally: as a value that Ansible never takes for a template.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import signal
import subprocess
import sys
import typing as t

__version__ = "1.1.0"
"""That of the collection whose playbooks it knows."""

COLLECTION = "rstyczynski.ansible"
CALLBACK = f"{COLLECTION}.answers"

NO_ANSIBLE = 127
"""The exit code where there is no ansible-playbook, as that of a shell."""
NO_COLLECTION = 1
"""The exit code where there is no collection, as that of ansible-playbook for a playbook that there is not."""

STATUSES = ("starting", "prepared", "running", "orphaned", "succeeded", "failed", "killed", "timed_out", "lost", "cancelled")

# The settings of the store, which the playbooks take as async_job_<name>, with what they are. The collection checks their values.
STORE = {
    "backend": "filesystem or oci",
    "state_dir": "directory of the records; the default is .ansible_async_state here",
    "create_store": "whether a store that is not there is made: true or false",
    "state_mode": "who may share the directory: private or group",
    "oci_bucket": "bucket of the records",
    "oci_namespace": "its namespace",
    "oci_prefix": "what the names of its objects begin with",
    "oci_auth_type": "how to authenticate, such as instance_principal",
    "oci_config_file": "configuration file of the SDK",
    "oci_profile": "profile in that file",
    "oci_region": "region of the bucket",
    "oci_tenancy": "OCID of the tenancy",
    "oci_endpoint": "URL of the service, where it is another one",
    "oci_cert_bundle": "file of certificates to trust",
    "oci_connect_timeout": "seconds",
    "oci_read_timeout": "seconds",
    "oci_retry_timeout": "seconds for all tries of a request",
    "oci_cache_dir": "directory for copies of records",
    "record_key_file": "file with the keys that records are signed with",
}

# Options of ansible-playbook that are passed on as they are: names, what they are, and whether they take a value.
PASSED: tuple[tuple[tuple[str, ...], str, bool], ...] = (
    (("-i", "--inventory"), "inventory with the hosts of the jobs", True),
    (("-l", "--limit"), "only jobs of these hosts of the inventory", True),
    (("-e", "--extra-vars"), "further variables, as ansible-playbook takes them: templates, too", True),
    (("-C", "--check"), "only say what would be done", False),
    (("-D", "--diff"), "show what changes", False),
    (("-f", "--forks"), "how many hosts to ask at the same time", True),
    (("-u", "--user"), "connect as this user", True),
    (("-k", "--ask-pass"), "ask for the password of the connection", False),
    (("--private-key", "--key-file"), "connect with this key", True),
    (("-c", "--connection"), "type of the connection", True),
    (("-T", "--timeout"), "timeout of the connection, in seconds", True),
    (("--ssh-common-args",), "further options of ssh", True),
    (("-b", "--become"), "ask the hosts as root, or as --become-user", False),
    (("--become-user",), "the user to become", True),
    (("--become-method",), "how to become that", True),
    (("-K", "--ask-become-pass"), "ask for the password of that", False),
    (("--vault-id",), "identity of a vault, and its password file", True),
    (("--vault-password-file", "--vault-pass-file"), "password file of the vault", True),
    (("-J", "--ask-vault-pass"), "ask for the password of the vault", False),
    (("-v", "--verbose"), "tell more; several times for more", False),
)

EXIT_CODES = """\
exit codes, those of ansible-playbook:
  0    all is done
  1    an error, such as a collection that is missing, or a limit that fits no
       host
  2    something has failed, such as a store or a job that is not there, or the
       command line is wrong
  4    hosts are unreachable, or a file of Ansible cannot be read
  5    the configuration of Ansible is wrong
  99   interrupted by the user
  250  a fault of Ansible itself
  127  there is no ansible-playbook
"""

DESCRIPTION = """\
List, show, verify, cancel and prune named background jobs, and run workflows of
playbooks: the playbooks of the Ansible collection rstyczynski.ansible.
"""

EPILOG = f"""\
The store is .ansible_async_state in the current directory, unless options of
the store say otherwise, or their variables in the environment, such as
ASYNC_JOB_STATE_DIR. Names and reasons are taken literally; one that begins with
a dash comes after a --, which ends the options, or after a =, as in --job=-odd:

  async-jobs list --status failed,lost --newer-than 1d
  async-jobs show --host db01 'Nightly "full" backup'
  async-jobs show -- --odd-name
  async-jobs verify -i inventory
  async-jobs cancel -i inventory --reason "wrong database" backup
  async-jobs workflow -i inventory pipeline.yml --run 4711
  async-jobs workflow-show Deployment 4711
  async-jobs list --format json |
    jq -r '.jobs[] | select(.status == "failed") | .job_name'

Completion: eval "$(async-jobs completion bash)", or zsh; in fish:
async-jobs completion fish | source

{EXIT_CODES}"""


class Option(t.NamedTuple):
    """An argument of a command that becomes a variable of its playbook."""

    variable: str
    help: str
    name: str = ""
    """That of the option, if the variable has another one; without dashes, that of an argument without an option."""
    choices: tuple[str, ...] = ()
    """What it may be. Otherwise the collection judges that."""
    suggested: tuple[str, ...] = ()
    """What the shell completes."""
    is_flag: bool = False


class Command(t.NamedTuple):
    """A command, and the playbook that does it."""

    playbook: str
    help: str
    options: tuple[Option, ...]
    fixed: dict[str, bool] = {}  # noqa: RUF012 - never changed
    returns_entries: bool = False
    """Whether its playbook returns jobs for programs if it is told to."""
    asks: t.Callable[[t.Mapping[str, t.Any]], bool] = lambda variables: False
    """Whether it needs the hosts of the jobs, and so an inventory."""


_HOST = Option("host", "only jobs of this host, by its name in the records")
_PLAYBOOK = Option("playbook", "only jobs of the playbook with this name")
_JOB = Option("job", "only jobs with this name, in which * and ? mean what they mean to a shell")
_STATUS = Option("status", "only jobs in these states, with commas between them", suggested=STATUSES)
_OLDER = Option("older_than", "only jobs of a greater age, such as 90s, 30m, 12h, 7d or 4w")
_NEWER = Option("newer_than", "only jobs of a smaller age")
_SORT = Option("sort", "in this order, the oldest or longest first", choices=("name", "age", "duration", "status"))
_VERIFY = Option("verify", "ask the hosts first", is_flag=True)
_DELEGATED = Option("delegated", "believe hosts what they say of jobs of others, which were delegated to them", is_flag=True)
_AS_RECORDED = Option("become_recorded_user", "become the users that the records name", is_flag=True)
_NAME = Option("job", "name of the job", name="job")
_REASON = Option("reason", "why, for the record")
_DECISION = (
    Option("playbook", "the playbook that asks, by the name of its play", name="playbook"),
    Option("approval", "what it asks for, by the name of the approval", name="approval"),
    Option("request", "id of the request: only that one is answered"),
    Option("subject", "what you decide on, where you do not have the id"),
    _REASON,
    Option("by", "who you are, beside the user that you are"),
)
_RUN = (Option("workflow", "name of the workflow", name="workflow"), Option("run", "id of the run", name="run"))
_LISTED = (_HOST, _PLAYBOOK, _JOB, _STATUS, _OLDER, _NEWER)

COMMANDS = {
    "list": Command(
        "jobs",
        "show all jobs in a table",
        (*_LISTED, _SORT, _VERIFY, _AS_RECORDED),
        returns_entries=True,
        asks=lambda variables: "verify" in variables,
    ),
    "show": Command(
        "show",
        "show all that is known of one job",
        (
            _NAME,
            _HOST,
            _PLAYBOOK,
            _VERIFY,
            Option("output", "full asks the host for all of the output, rather than its end", choices=("tail", "full")),
            _AS_RECORDED,
        ),
        returns_entries=True,
        asks=lambda variables: "verify" in variables or variables.get("output") == "full",
    ),
    "verify": Command(
        "jobs",
        "ask the hosts what became of the jobs, note it, and show them",
        (*_LISTED, _SORT, _AS_RECORDED),
        {"verify": True},
        returns_entries=True,
        asks=lambda variables: True,
    ),
    "cancel": Command(
        "cancel",
        "stop a job, and everything that it has started",
        (_NAME, _HOST, _PLAYBOOK, _REASON, Option("grace_period", "seconds for the job to clean up"), _AS_RECORDED),
        asks=lambda variables: True,
    ),
    "prune": Command(
        "prune",
        "remove old jobs, what they have left on the hosts, and runs of workflows; a dry run without --apply",
        (
            *(_HOST, _PLAYBOOK, _JOB, _STATUS, _OLDER),
            Option("workflow", "only runs of this workflow, with their jobs"),
            Option("run", "only this run of --workflow"),
            Option("keep", "keep so many of the jobs that fit --job, of each host and playbook; or of the runs of --workflow"),
            Option("keep_attempts", "remove no records, but all attempts except so many"),
            Option("all", "it is meant for all jobs that are that old", is_flag=True),
            Option("apply", "remove, rather than say what would be removed", is_flag=True),
            _AS_RECORDED,
        ),
        asks=lambda variables: "apply" in variables,
    ),
    "recover": Command(
        "recover",
        "after the loss of a store, make its records anew from what the hosts know; a dry run without --apply",
        (_PLAYBOOK, _JOB, _DELEGATED, Option("apply", "write, rather than say what would be written", is_flag=True)),
        asks=lambda variables: True,
    ),
    "report": Command(
        "report",
        "write a page about all jobs, or metrics",
        (
            Option("dest", "file to write", name="dest"),
            Option("format", "a page, or metrics for the textfile collector of node_exporter", "--as", ("html", "prometheus")),
            Option("ara_url", "address of the web interface of ARA, to link to it"),
            *_LISTED,
        ),
    ),
    "approvals": Command("approvals", "show what awaits approval, with the commands that decide", (_PLAYBOOK,)),
    "approve": Command("approve", "give the answer that a playbook waits for: yes", _DECISION),
    "reject": Command("reject", "give the answer that a playbook waits for: no", _DECISION),
    "workflow": Command(
        "workflow",
        "run several playbooks as one, as a file says, or go on with such a run",
        (
            Option("file", "file of the workflow", name="file"),
            Option("run", "id of the run: the same id is the same run"),
            Option("params", "values of its parameters, as JSON, or as name=value with commas between them"),
            Option("mode", "resume runs once more what has failed, accept takes it for good", choices=("run", "resume", "accept")),
            Option("nodes", "only those nodes, with commas between them"),
            _REASON,
            Option("workflow", "which one, if the file holds several"),
            Option("stored_definition", "go on with what the run began with, whatever the file says now", is_flag=True),
            Option("wait_timeout", "seconds to wait for approvals"),
            Option("executor_timeout", "seconds to wait for nodes of other hosts that nobody there begins, or ends"),
            Option("executor", "host of the inventory on which nodes run"),
            _AS_RECORDED,
        ),
        asks=lambda variables: True,
    ),
    "workflows": Command("workflows", "show which runs of workflows there are", (Option("workflow", "only runs of this workflow"),)),
    "workflow-show": Command("workflow_show", "show how a run of a workflow is: its graph, its way, and why", _RUN),
    "workflow-tick": Command(
        "workflow_tick",
        "begin what the schedules of a workflow say, and go on with its runs: for cron, each minute",
        (
            Option("file", "file of the workflow", name="file"),
            Option("params", "values of its secret parameters, as JSON, or as name=value with commas between them"),
            Option("workflow", "which one, if the file holds several"),
            Option("tick_timeout", "seconds to drive runs"),
            Option("stored_definition", "go on with what a run began with, whatever the file says now", is_flag=True),
            Option("executor", "host of the inventory on which nodes run"),
            _AS_RECORDED,
        ),
        asks=lambda variables: True,
    ),
    "workflow-cancel": Command(
        "workflow_cancel",
        "end a run of a workflow: stop what runs, and begin nothing more",
        (
            *_RUN,
            _REASON,
            Option("grace_period", "seconds for jobs to clean up"),
            Option("executor", "host of the inventory on which nodes run"),
            _AS_RECORDED,
        ),
        asks=lambda variables: True,
    ),
}

SHELLS = ("bash", "zsh", "fish")


class Parser(argparse.ArgumentParser):
    """A parser that says of a slip of the hand where to look. A part of a name is no name: a typo is not an order."""

    of_commands: t.Mapping[str, Parser] = {}

    def error(self, message: str) -> t.NoReturn:
        """Say what is wrong, and end."""
        if "-o/--format" in message and "--as" in self._option_string_actions:
            message += "; what to write into the file is said with --as"
        self.exit(2, f"{self.prog}: {message}. Nothing was done. See: {self.prog} --help\n")

    def parse(self, arguments: t.Sequence[str] | None) -> argparse.Namespace:
        """Return what is given. Else say what is wrong, and what may be meant."""
        given, unknown = self.parse_known_args(arguments)
        if unknown:
            of_command = self.of_commands[given.command]
            option = unknown[0].partition("=")[0]
            alike = difflib.get_close_matches(option, of_command._option_string_actions, n=1) if option.startswith("-") else []
            hint = f" ({alike[0]} is alike)" if alike else ""
            if option.lstrip("-") in {action.dest for action in of_command._actions if not action.option_strings}:
                hint = f" ({option.lstrip('-').upper()} stands by itself)"
            of_command.error(f"it does not take {' '.join(unknown)}{hint}")
        return given


def parser() -> Parser:
    """Make the parser of the command line."""
    made = Parser(
        prog="async-jobs", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--version", action="version", version=f"async-jobs {__version__}", help="print the version, and exit")
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made.of_commands = commands.choices
    for name, command in COMMANDS.items():
        operands = [option.name.upper() for option in command.options if option.name and not option.name.startswith("-")]
        one = commands.add_parser(
            name,
            usage=" ".join([f"async-jobs {name} [OPTIONS]", *operands]),  # all of them take a screen, and hide what is wrong
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}: ansible-playbook {COLLECTION}.{command.playbook}",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for option in command.options:
            _add(one, option)
        one.add_argument(
            *("-o", "--format"),
            dest="answer",
            choices=("text", "json"),
            default="text",
            help="how to answer; json is one object on the standard output, and nothing else",
        )
        store = one.add_argument_group("the store")
        for setting, about in STORE.items():
            store.add_argument(f"--{setting.replace('_', '-')}", dest=f"async_job_{setting}", metavar="VALUE", help=about)
        passed = one.add_argument_group("options of ansible-playbook")
        for names, about, takes_value in PASSED:
            if takes_value:
                passed.add_argument(*names, dest=names[-1], action="append", metavar="VALUE", help=about)
            else:
                passed.add_argument(*names, dest=names[-1], action="count", help=about)
    completion = commands.add_parser("completion", help="print what makes a shell complete this command", allow_abbrev=False)
    completion.add_argument("shell", choices=SHELLS)
    return made


def _add(to: argparse.ArgumentParser, option: Option) -> None:
    name = option.name or f"--{option.variable.replace('_', '-')}"
    if option.is_flag:
        to.add_argument(name, dest=option.variable, action="store_true", default=None, help=option.help)
    elif not name.startswith("-"):
        to.add_argument(option.variable, metavar=name.upper(), type=_given, help=option.help)
    else:
        choices = option.choices or None
        metavar = None if choices else "VALUE"
        added = to.add_argument(name, dest=option.variable, type=_given, choices=choices, metavar=metavar, help=option.help)
        if option.suggested:
            added.completer = lambda **_given: option.suggested  # type: ignore[attr-defined]


def _given(text: str) -> str:
    """Return what is given. Of a variable of a shell that is not set, nothing is left."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def command_line(given: argparse.Namespace) -> list[str]:
    """Return the arguments of ansible-playbook."""
    command, variables = COMMANDS[given.command], variables_of(given)
    arguments = []
    for names, _about, _takes_value in PASSED:
        values = getattr(given, names[-1])
        if isinstance(values, int):
            arguments += [names[-1]] * values
        else:  # in one word, so that a value may begin with a dash
            arguments += [f"{names[-1]}={value}" for value in values or ()]
    return [*arguments, f"--extra-vars={literal(variables)}", f"{COLLECTION}.{command.playbook}"]


def variables_of(given: argparse.Namespace) -> dict[str, t.Any]:
    """Return the variables of the playbook."""
    command = COMMANDS[given.command]
    names = [*(option.variable for option in command.options), *(f"async_job_{setting}" for setting in STORE)]
    variables: dict[str, t.Any] = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    variables.update(command.fixed)
    if given.answer == "json":
        variables["async_job_progress"] = False  # no table
        if command.returns_entries:
            variables["entries"] = True
    return variables


def literal(variables: t.Mapping[str, t.Any]) -> str:
    """Write variables as YAML in which every text is what it is, and never a template."""
    return "{" + ", ".join(f"{name}: {_scalar(value)}" for name, value in variables.items()) + "}"


def _scalar(value: t.Any) -> str:
    if not isinstance(value, str):
        return str(value).lower()
    # Of what has this tag, Ansible would make numbers and the like in spite of the quotes; nothing that looks like a template is one.
    tag = "!unsafe " if any(mark in value for mark in ("{{", "{%", "{#", "#jinja2:")) else ""
    return tag + '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    """Return a character as it stands between double quotes in YAML, in ASCII."""
    return character if character.isascii() and character.isprintable() and character not in '"\\' else f"\\U{ord(character):08x}"


def environment_for(given: argparse.Namespace) -> dict[str, str]:
    """Return the environment of ansible-playbook."""
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": CALLBACK, "ASYNC_JOB_ANSWERS_FORMAT": given.answer}
    environment.pop("ASYNC_JOB_ANSWERS_DESCRIPTOR", None)
    # Of a playbook of which tags leave something out, the answer is no answer.
    environment.update(ANSIBLE_SKIP_TAGS="", ANSIBLE_RUN_TAGS="all")  # not those of a configuration either
    if not COMMANDS[given.command].asks(variables_of(given)) and not getattr(given, "--limit"):
        # Whoever asks no host is told of no inventory that is missing. Of which there are, a limit needs one.
        environment.setdefault("ANSIBLE_LOCALHOST_WARNING", "0")
        environment.setdefault("ANSIBLE_INVENTORY_UNPARSED_WARNING", "0")
    return environment


def is_installed(program: str, environment: t.Mapping[str, str]) -> bool:
    """Return whether Ansible finds the collection. Where it mostly is, that takes no time; elsewhere Ansible is asked, for a second."""
    places = environment.get("ANSIBLE_COLLECTIONS_PATH") or "~/.ansible/collections:/usr/share/ansible/collections"
    parts = ("ansible_collections", *COLLECTION.split("."), "playbooks")
    if any(os.path.isdir(os.path.join(os.path.expanduser(place), *parts)) for place in places.split(":")):
        return True
    asked = [program, "--inventory=localhost,", "--syntax-check", f"{COLLECTION}.approvals"]
    done = subprocess.run(
        asked, env={**environment, "ANSIBLE_STDOUT_CALLBACK": "default"}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return b"could not be found" not in done.stdout + done.stderr


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Become ansible-playbook. Return the exit code if that is not possible."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever has started this ignores it
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback before Ansible listens
    made = parser()
    _complete(made)
    given = made.parse(arguments)
    if given.command == "completion":
        return _print_completion(given.shell)
    try:
        "".join(value for value in variables_of(given).values() if isinstance(value, str)).encode("utf-8")
    except UnicodeError:
        made.error("an argument is not text in UTF-8")
    beside = os.path.dirname(os.path.abspath(sys.argv[0]))
    program = shutil.which("ansible-playbook") or shutil.which("ansible-playbook", path=beside)
    if program is None:
        print(
            "async-jobs: there is no ansible-playbook on the PATH. Nothing was done. Install ansible-core, or activate the environment that"
            " has it.",
            file=sys.stderr,
        )
        return NO_ANSIBLE
    environment = environment_for(given)
    if not is_installed(program, environment):
        print(
            f"async-jobs: {program} does not find the collection {COLLECTION}. Nothing was done. Install it: ansible-galaxy collection"
            f" install {COLLECTION}; or say where it is: ANSIBLE_COLLECTIONS_PATH.",
            file=sys.stderr,
        )
        return NO_COLLECTION
    if given.answer == "json":
        # What else Ansible, its plugins and its configuration write to the standard output goes to the standard error.
        try:
            descriptor = os.dup(1)
        except OSError:
            print("async-jobs: the standard output is closed. Nothing was done.", file=sys.stderr)
            return NO_COLLECTION
        os.set_inheritable(descriptor, True)
        os.dup2(2, 1)
        environment["ASYNC_JOB_ANSWERS_DESCRIPTOR"] = str(descriptor)
    os.execve(program, [program, *command_line(given)], environment)


def _complete(made: argparse.ArgumentParser) -> None:
    """Answer a shell that asks how to complete a line."""
    try:
        import argcomplete
    except ImportError:  # the file by itself, without its package
        return
    argcomplete.autocomplete(made, always_complete_options=False)


def _print_completion(shell: str) -> int:
    try:
        import argcomplete
    except ImportError:
        print("async-jobs: completion needs the package argcomplete. Install it: python3 -m pip install argcomplete", file=sys.stderr)
        return 1
    try:
        print(argcomplete.shellcode(["async-jobs"], shell=shell), flush=True)
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())

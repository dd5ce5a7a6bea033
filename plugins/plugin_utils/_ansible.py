# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller side takes from the inside of ansible-core: names that no page of its documentation promises.

They stand in :data:`INSIDE`, each with its reason, the releases that it was seen on, and what happens without it. Where that is an
error, the functions here raise it: a user reads which release of ansible-core to take, never an AttributeError. An integration
test runs each of them on every release of the matrix, and on the newest pre-release.

What the host side knows of Ansible's background jobs is in C(module_utils/_host/job.py).

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import os
import shlex
import sys
import tempfile
import typing as t

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.release import __version__
from ansible.utils.display import Display

from ansible_collections.rstyczynski.ansible.plugins.module_utils._errors import AsyncJobError
from ansible_collections.rstyczynski.ansible.plugins.module_utils._terminal import harmless_lines

TESTED = "2.16 to 2.21"
"""The releases of ansible-core that all tests run on."""


class Inside(t.NamedTuple):
    """A thing that ansible-core does not promise."""

    reason: str
    gone: str
    """What happens where it is not there."""
    seen: str = "2.16 to 2.22"


_ERROR = "The task fails, and says which releases have it."

INSIDE: dict[str, Inside] = {
    "ansible.executor.module_common._apply_action_arg_defaults": Inside(
        "module_defaults of the action inside async_job: Ansible applies those of a task only to its own action.", _ERROR, "2.19 to 2.22"
    ),
    "ansible.executor.module_common.get_action_args_with_defaults": Inside(
        "The same on older releases, which need the groups of actions from the play (Play._action_groups).", _ERROR, "2.16 to 2.18"
    ),
    "ansible.parsing.mod_args.ModuleArgsParser": Inside(
        "Which options a task itself gives (Task.get_ds): they beat variables, and module_defaults do not. Task.args has both.", _ERROR
    ),
    "Templar.evaluate_conditional": Inside(
        "What failed_when of a task says of the result of a job, before another attempt is started: Ansible asks only at the end.",
        _ERROR,
        "2.19 to 2.22",
    ),
    "ansible.playbook.conditional.Conditional": Inside("The same on older releases.", _ERROR, "2.16 to 2.18"),
    "ansible.playbook.task.Task.copy": Inside(
        "The task inside async_job: the outer one with another action, other args, and its own async_val and poll.", _ERROR
    ),
    "ansible.playbook.task.Task.fattributes": Inside(
        "Names of keywords, to tell somebody who writes one beside the action in async_job where it belongs.",
        "The keyword is taken for an action, which does not exist: an error that helps less.",
    ),
    "Task.async_val, Task.poll": Inside(
        "Set to 0 by async_job while it runs: the executor reads async_val again afterwards, and would wait in its own way, and remove"
        " the results file. What else runs on the host would carry the marker of a background job.",
        "Nothing would set them; the contract test fails.",
    ),
    "PluginLoader.find_plugin_with_context, PluginLoadContext.action_plugin": Inside(
        "The action plugin of the task inside async_job, chosen as the executor does.", _ERROR
    ),
    "ActionBase._execute_module(wrap_async)": Inside(
        "Starts our module in place of ansible.builtin.command as a background job. _execute_module itself is documented.", _ERROR
    ),
    "ActionBase._configure_module": Inside(
        "Ansible builds a module, and our program takes the place of its text: several times less to send and to read.", _ERROR
    ),
    "ActionBase._update_module_args": Inside(
        "Since ansible-core 2.19, a module that raises an exception hands on its traceback only if its arguments say so. And which shell"
        " runs commands, and whether and where modules say in the log of the host what they do: a command of a job does as they do.",
        _ERROR,
    ),
    "ActionBase._is_pipelining_enabled": Inside(
        "Whether a program goes through the connection, as the start of a command has to that takes one exchange.", _ERROR
    ),
    "ActionBase._make_tmp_path, _transfer_data, _transfer_file, _fixup_perms2": Inside(
        "What Ansible would send to the host to start a module in the background: the jobs of a list are sent and started together.",
        "They are started one after the other.",
    ),
    "ActionBase._supports_async": Inside(
        "Tells which actions can be a job, before anything is started. Those that say so only when they run, have it in their code.",
        "Every action is refused; the contract test fails.",
    ),
    "_ANSIBALLZ_WRAPPER in the text of a module": Inside(
        "There, a module that is a job is told to forget where Ansible's wrapper writes its result, so that no Ansible that it starts"
        " writes there, too. A command of a job is told that in another way.",
        "Such a module hands the directory of its attempt on to what it starts.",
    ),
    "ActionBase._low_level_execute_command": Inside(
        "One line for the shell of the host, in one exchange: what comes before and after the start of a job.", _ERROR
    ),
    "ActionBase._remote_expand_user": Inside("The results directory of a job on Windows.", _ERROR),
    "Connection.set_become_plugin": Inside("Another user for one look, on a connection that is open.", _ERROR),
    "ansible.plugins.loader.become_loader": Inside("The become plugin for that, if the task has none.", _ERROR),
    "Connection._shell.tmpdir": Inside(
        "Forgotten when the user changes: the directory for modules belongs to the one before. The shell itself has no public name.", _ERROR
    ),
    "Connection._shell._IS_WINDOWS": Inside("Tells hosts that have no processes as Unix knows them.", "The host counts as Unix."),
    "PlayContext.no_log": Inside(
        "Keeps what a look at a secret job says from the log of the connection. Task.no_log would censor the answer, too.", _ERROR
    ),
    "option async_dir of shell plugins": Inside("The directory of results files; one for each attempt.", _ERROR),
    "option reconnection_retries of ssh": Inside("0 while a job is started: a launch that is repeated would start it twice.", _ERROR),
    "option use_tty of ssh": Inside(
        "Off while a job is started: with a terminal, the host hangs up on it when the controller dies.", _ERROR
    ),
    "option pipelining of ssh": Inside(
        "Modules go through the connection: one exchange with the host instead of five, and no file where a disk is full.",
        "They are sent as files.",
    ),
    "BYPASS_HOST_LOOP": Inside(
        "Ansible reads it from the class of an action before it forks a worker: the moment to import the OCI SDK once (_preload.py).",
        "Each worker imports the SDK: half a second per task and host.",
    ),
    "BaseFileCacheModule.set, _dump, _get_cache_file_name": Inside(
        "The cache of an inventory, whose files hold records, and which Ansible makes for everybody to read.", _ERROR
    ),
    "Task._parent._play": Inside(
        "The variables that somebody gives to a playbook of this collection who imports it: they are among those of its play.", _ERROR
    ),
    "ActionBase._requires_connection": Inside(
        "False where only the store is touched: such a task runs on hosts that cannot be reached, and Ansible starts no helper for them.",
        "No difference, except for network devices.",
    ),
    "Task.untemplated_args": Inside(
        "Names of jobs as text: before 2.19, a template makes a list of the text '[1,2]'.",
        "Newer releases need it no longer.",
        "2.16 to 2.18",
    ),
}

# Not jobs, but they read a line of text, too: what is wrong with them is said later.
_NO_MODULES = ("import_role", "import_tasks", "include_role", "include_tasks", "include_vars", "meta", "add_host", "group_by", "set_fact")

FREE_FORM = frozenset(
    prefix + name
    for prefix in ("", "ansible.builtin.", "ansible.legacy.", "ansible.windows.")
    for name in ("command", "shell", "raw", "script", "win_command", "win_shell", *_NO_MODULES)
)
"""Actions that take a line of text in place of options. Ansible's own list has no public name, and changes once in many years."""

# Of these connections, an option that is not there is one that ansible-core has renamed. Others need not have any.
_SSH = ("ssh", "ansible.builtin.ssh")


def gone(name: str) -> AsyncJobError:
    """Return the error for something that this release of ansible-core does not have."""
    return AsyncJobError(
        f"ansible-core {__version__} has no {name}, which this collection needs. It was tested with ansible-core {TESTED}: use one of"
        " these, or look for a newer release of rstyczynski.ansible. Nothing was started or changed."
    )


def taken(owner: t.Any, attribute: str, name: str = "") -> t.Any:
    """Return an attribute of something inside ansible-core.

    :arg name: what to call it in the error
    :raises AsyncJobError: if it is not there
    """
    try:
        return getattr(owner, attribute)
    except AttributeError:
        raise gone(name or f"{getattr(owner, '__name__', type(owner).__name__)}.{attribute}") from None


def module(name: str) -> t.Any:
    """Return a module of ansible-core.

    :raises AsyncJobError: if it is not there
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise gone(name) from None


def task_keywords() -> t.Container[str]:
    """Return the keywords of tasks."""
    return t.cast(t.Container[str], getattr(module("ansible.playbook.task").Task, "fattributes", ()))


def options_in_playbook(task: t.Any, template: t.Callable[[t.Any], t.Any]) -> t.Iterator[str]:
    """Yield the names of the options that a task itself gives. Those in C(task.args) may come from module_defaults."""
    parser = taken(module("ansible.parsing.mod_args"), "ModuleArgsParser")
    _action, args, _delegate_to = parser(taken(task, "get_ds")(), collection_list=task.collections).parse()
    for whole in (args.pop("_variable_params", None), args.pop("_raw_params", None)):  # one variable that holds all options
        if whole:
            yield from template(whole)
    yield from args


def text_of_option(task: t.Any, templar: t.Any, option: str) -> str | None:
    """Return the text of an option, where a template would have made something else of it. None if nothing would."""
    template = getattr(task, "untemplated_args", {}).get(option)
    return templar.template(template, convert_data=False) if isinstance(template, str) else None


def with_module_defaults(task: t.Any, action: str, options: dict[str, t.Any], templar: t.Any) -> dict[str, t.Any]:
    """Return options of an action, with those that C(module_defaults) of a task add."""
    common = module("ansible.executor.module_common")
    if hasattr(common, "_apply_action_arg_defaults"):  # ansible-core 2.19 and newer
        return dict(common._apply_action_arg_defaults(action, task, options, templar))
    merge = taken(common, "get_action_args_with_defaults")
    groups = taken(play_of(task), "_action_groups")
    return dict(merge(action, options, task.module_defaults, templar, action_groups=groups))


def are_true(action: t.Any, conditions: list[t.Any], variables: dict[str, t.Any], told: dict[str, t.Any]) -> bool:
    """Return whether all of these conditions are true, such as those of C(failed_when).

    :arg told: variables with values that come from elsewhere. Whatever looks like a template in them is none
    """
    templar = action._templar
    if hasattr(templar, "evaluate_conditional"):  # ansible-core 2.19 and newer, where a template is one because somebody has said so
        templar = templar.copy_with_new_env(available_variables={**variables, **told})
        return all(templar.evaluate_conditional(condition) for condition in conditions)
    from ansible.playbook import conditional  # newer releases have no such file
    from ansible.utils.unsafe_proxy import wrap_var

    asked = taken(conditional, "Conditional", "ansible.playbook.conditional.Conditional")(loader=action._loader)
    asked.when = conditions
    return bool(asked.evaluate_conditional(templar, {**variables, **wrap_var(told)}))


def play_of(task: t.Any) -> t.Any:
    """Return the play that a task is in."""
    return taken(taken(task, "_parent", "Task._parent._play"), "_play", "Task._parent._play")


def uuid_of_play(task: t.Any) -> str:
    """Return what tells the play that a task is in from all others."""
    return str(taken(play_of(task), "_uuid"))


def uuid_of_task(task: t.Any) -> str:
    """Return what tells a task of this run of ansible-playbook from all others, of other runs, too. It is the same on all hosts."""
    return str(taken(task, "_uuid"))


def inner_task(outer: t.Any, *, action: str, args: dict[str, t.Any], limit: int) -> t.Any:
    """Return a copy of a task that runs another action, in the background."""
    task = taken(outer, "copy")()
    for name, value in (("action", action), ("args", args), ("async_val", limit), ("poll", 0)):
        taken(task, name)
        setattr(task, name, value)
    return task


class Chosen(t.NamedTuple):
    """An action that was found by its name."""

    name: str
    """Its full name, as far as that is known."""
    handler: str
    """The action plugin that runs it."""
    collections: t.Any


def choose_action(outer: ActionBase, action: str) -> Chosen | None:
    """Find an action, and the plugin that runs it, just as Ansible does for a task. None if there is none."""
    loader = taken(outer, "_shared_loader_obj")
    collections = outer._task.collections
    context = taken(loader.module_loader, "find_plugin_with_context")(action, collection_list=collections)
    has_action = taken(loader.action_loader, "has_plugin")(action, collection_list=collections)
    if not context.resolved and not has_action:
        return None
    name = taken(context, "resolved_fqcn") if context.resolved else action
    plugin = taken(context, "action_plugin") if context.resolved else None
    if plugin:
        return Chosen(name, plugin, collections)
    return Chosen(name, action, collections) if has_action else Chosen(name, "ansible.legacy.normal", None)


def handler_of(outer: ActionBase, chosen: Chosen, task: t.Any) -> t.Any:
    """Return the action plugin for a task, on the connection of another action."""
    loader = taken(outer, "_shared_loader_obj")
    return loader.action_loader.get(
        chosen.handler,
        task=task,
        connection=outer._connection,
        play_context=taken(outer, "_play_context"),
        loader=outer._loader,
        templar=outer._templar,
        shared_loader_obj=loader,
        collection_list=chosen.collections,
    )


# Actions of Ansible's own that have their work done by a module, in the background. All that others of them do on the host is to look.
_BY_MODULES = ("command", "dnf", "normal", "package", "service", "shell", "uri", "yum")


def works_by_module(handler: t.Any) -> bool:
    """Return whether an action is known to have all of its work done by a module in the background. Others may do it themselves."""
    directory, file = os.path.split(_file_of(type(handler)))
    return directory == os.path.dirname(_file_of(ActionBase)) and file in [f"{name}.py" for name in _BY_MODULES]


def only_runs_a_module(handler: t.Any) -> bool:
    """Return whether all that an action changes on the host is done by one module there, and the host has a shell as Unix has them."""
    return getattr(_shell_of(handler._connection), "SHELL_FAMILY", "") == "sh" and works_by_module(handler)


def supports_async(handler: t.Any) -> bool:
    """Return whether an action says that it can run in the background: always, or in its code, when it runs.

    Those that others have written may also leave that to another action, or to what they tell a module.
    """
    if works_by_module(handler) or getattr(handler, "_supports_async", False):
        return True
    own = os.path.dirname(_file_of(ActionBase))
    classes = [one for one in type(handler).__mro__ if one is not ActionBase and issubclass(one, ActionBase)]
    for one in classes:
        said = {"_supports_async"} if os.path.dirname(_file_of(one)) == own else {"_supports_async", "async_val", "action_loader"}
        codes = [value.__code__ for value in vars(one).values() if inspect.isfunction(value)]
        if any(said.intersection(code.co_names) for code in codes):
            return True
    return False


def _file_of(action: t.Any) -> str:
    return str(taken(action, "run").__code__.co_filename)


@dataclasses.dataclass
class Launching:
    """What an action does while it is asked to start a job."""

    has_launched: bool = False
    """Whether it has set out to start a module in the background."""


@contextlib.contextmanager
def launching(task: t.Any, directory: str, markers: tuple[str, str], *, secret: bool) -> t.Iterator[Launching]:
    """Let an action start a job, with this directory for its results file. That is done in the class, because actions call each other.

    :arg markers: variables of the environment: the one that all processes of the job get, with the directory; and the one of Ansible,
        which only its own wrapper is to have
    :arg secret: whether no traceback may be asked for
    """
    done = Launching()
    execute, configure, update = (taken(ActionBase, name) for name in ("_execute_module", "_configure_module", "_update_module_args"))
    signature = inspect.signature(execute)
    forget = f"import os\nif os.environ.get({markers[1]!r}) == {directory!r}: del os.environ[{markers[1]!r}]\n".encode()

    def executed(*args: t.Any, **kwargs: t.Any) -> t.Any:
        done.has_launched |= bool(signature.bind(*args, **kwargs).arguments.get("wrap_async"))
        return execute(*args, **kwargs)

    def configured(action: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        built = configure(action, *args, **kwargs)
        if str(kwargs.get("module_name", args[:1])).endswith("async_wrapper"):
            return built
        if len(built) == 4:  # before ansible-core 2.19: style, interpreter, text and file of a module
            return (*built[:2], _begun_with(built[2], forget), built[3])
        module_bits, path = built
        return dataclasses.replace(module_bits, b_module_data=_begun_with(module_bits.b_module_data, forget)), path

    def updated(action: t.Any, module_name: str, module_args: dict[str, t.Any], *args: t.Any, **kwargs: t.Any) -> None:
        update(action, module_name, module_args, *args, **kwargs)
        events = module_args.get("_ansible_tracebacks_for")
        if isinstance(events, list) and "error" not in events and not secret:
            module_args["_ansible_tracebacks_for"] = [*events, "error"]

    for name, ours in (("_execute_module", executed), ("_configure_module", configured), ("_update_module_args", updated)):
        setattr(ActionBase, name, functools.wraps(getattr(ActionBase, name))(ours))
    try:
        with in_environment(task, {markers[0]: directory}):
            yield done
    finally:
        for name, theirs in (("_execute_module", execute), ("_configure_module", configure), ("_update_module_args", update)):
            setattr(ActionBase, name, theirs)


def _begun_with(text: t.Any, lines: bytes) -> t.Any:
    """Return the text of a module that does something first, if it is one in Python as Ansible builds it."""
    mark = b"\n_ANSIBALLZ_WRAPPER = True"
    return text.replace(mark, b"\n" + lines + mark[1:], 1) if isinstance(text, bytes) and mark in text else text


def start_module(handler: t.Any, name: str, args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
    """Start a module as a background job."""
    execute = taken(handler, "_execute_module", "ActionBase._execute_module")
    if "wrap_async" not in inspect.signature(execute).parameters:
        raise gone("ActionBase._execute_module(wrap_async)")
    return dict(execute(module_name=name, module_args=args, task_vars=task_vars, wrap_async=True))


class ToSend(t.NamedTuple):
    """What Ansible would do on a host to start a module in the background."""

    files: dict[str, bytes]
    """What is in the files that it would send, by their names."""
    command: str
    """What it would run then in the shell of the host, as the user that the task has become."""


class _Stopped(BaseException):
    """Ansible was about to do that on the host. It is no Exception, which an action would take for a failure."""

    def __init__(self, found: ToSend | None) -> None:
        super().__init__()
        self.found = found


_SENDING = ("_make_tmp_path", "_transfer_data", "_transfer_file", "_fixup_perms2", "_low_level_execute_command")


def to_send(handler: t.Any, start: t.Callable[[], dict[str, t.Any]], directory: str) -> ToSend | dict[str, t.Any] | None:
    """Let an action set out to start a module in the background, and return what it would do on the host. None if that is something else.

    Before, it may ask the host which Python it has, or which package manager.

    :arg start: starts it
    :arg directory: on the host, for the files that it would send
    :returns: if it does not come to that, what the action returns
    :raises AsyncJobError: if it may have been started after all
    """
    if not all(hasattr(handler, name) for name in _SENDING):
        return None
    execute = handler._low_level_execute_command
    files: dict[str, bytes] = {}

    def make_tmp_path(*_args: t.Any, **_kwargs: t.Any) -> str:
        handler._cleanup_remote_tmp = True
        handler._connection._shell.tmpdir = directory
        return directory

    def transfer_data(path: t.Any, data: t.Any) -> t.Any:
        place, name = os.path.split(path)
        if place != directory or not isinstance(data, (str, bytes)):
            raise _Stopped(None)
        files[name] = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        return path

    def transfer_file(*_args: t.Any, **_kwargs: t.Any) -> t.NoReturn:
        raise _Stopped(None)  # it has to be one that can be executed

    def run(command: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if not files:
            return execute(command, *args, **kwargs)
        is_it = "async_wrapper" in command and not args and set(kwargs) <= {"sudoable", "in_data", "process_result"}
        is_it = is_it and kwargs.get("sudoable", True) and not kwargs.get("in_data") and not kwargs.get("process_result")
        raise _Stopped(ToSend(files, command) if is_it else None)

    before = taken(_shell_of(handler._connection), "tmpdir", "Connection._shell.tmpdir")
    forget_directory(handler._connection)
    ours: tuple[t.Callable[..., t.Any], ...] = (make_tmp_path, transfer_data, transfer_file, lambda *_args, **_kwargs: None, run)
    for name, instead in zip(_SENDING, ours, strict=True):
        setattr(handler, name, instead)
    try:
        result = start()
    except _Stopped as stopped:
        return stopped.found
    finally:
        for name in _SENDING:
            delattr(handler, name)
        handler._connection._shell.tmpdir = before
    if result.get("ansible_job_id") or not result.get("failed"):
        raise AsyncJobError("Ansible has not started the job as it starts others.")
    return result


def shell_of_commands(action: ActionBase) -> str:
    """Return the shell that runs all commands of a task on the host."""
    return str(getattr(taken(action, "_play_context"), "executable", "") or "/bin/sh")


def keeps_files() -> bool:
    """Return whether the files of modules stay on the host, for somebody who looks for a fault."""
    return bool(getattr(constants, "DEFAULT_KEEP_REMOTE_FILES", False))


def warn_now(text: str) -> None:
    """Print a warning while its task runs. That of its result, with the same text, is not printed once more: Ansible's main process, which
    prints both, knows what it has printed."""
    display = Display()
    if not hasattr(display, "_warning"):
        display.warning(text)
        return
    # From 2.19 on, what is warned of in a task is kept for its result.
    from ansible.module_utils._internal import _messages

    display._warning(_messages.WarningSummary(event=_messages.Event(msg=text)))


def text_of_warning(warning: t.Any) -> str:
    """Return what a warning in a result says. Newer releases make objects of those of a module, and of the choice of its Python."""
    event = getattr(warning, "event", warning)
    return " ".join(str(part) for part in (getattr(event, "msg", event), getattr(event, "help_text", None)) if part)


def run_program(action: ActionBase, text: bytes, task_vars: dict[str, t.Any], words: t.Sequence[str] = ()) -> dict[str, t.Any]:
    """Run a program in Python on the host, as Ansible runs a module there, and return what a module returns.

    Its interpreter is found, the keyword environment and become hold, and its files go away again. Only the text is ours.

    :arg words: arguments of a program that goes through the connection
    :raises AsyncJobError: if something else than Ansible itself runs modules
    """
    configure = taken(action, "_configure_module", "ActionBase._configure_module")
    sent = False

    def with_text(*args: t.Any, **kwargs: t.Any) -> t.Any:
        nonlocal sent
        built, sent = configure(*args, **kwargs), True
        if len(built) == 4:  # before ansible-core 2.19: style, interpreter, text and file of a module
            return (*built[:2], text, built[3])
        module_bits, path = built
        taken(module_bits, "b_module_data", "ActionBase._configure_module")
        return dataclasses.replace(module_bits, b_module_data=text), path

    def with_words(command: str, *args: t.Any, **kwargs: t.Any) -> t.Any:
        return execute(f"{command} - {shlex.join(words)}" if kwargs.get("in_data") == text else command, *args, **kwargs)

    execute = taken(action, "_low_level_execute_command", "ActionBase._low_level_execute_command")
    if words:
        action._low_level_execute_command = with_words
    action._configure_module = with_text
    try:
        # Any module will do, and this one is small.
        done = dict(action._execute_module(module_name="ansible.builtin.ping", module_args={}, task_vars=task_vars))
    finally:
        del action._configure_module
        if words:
            del action._low_level_execute_command
    if not sent:
        raise AsyncJobError(
            "Something else than Ansible itself runs modules here, such as the strategy mitogen_linear. Nothing was asked of the host."
            " Use one of Ansible's own strategies for this play."
        )
    return done


def refuse_other_runners(action: ActionBase) -> None:
    """Refuse to start anything where something else than Ansible is known to run modules: it ignores the directory of background jobs.

    :raises AsyncJobError: if that is so
    """
    classes = (*type(action).__mro__, *type(action._connection).__mro__)
    if any(one.__module__.partition(".")[0] == "ansible_mitogen" for one in classes):
        raise AsyncJobError(
            "Mitogen runs the modules of this play, and it starts background jobs in a directory of its own choice. Nothing was started."
            " Say 'strategy: linear' (or another one of Ansible's own) for this play."
        )


def run_in_shell(action: ActionBase, script: str) -> dict[str, t.Any]:
    """Run lines in the shell of the host, as the user that the task has become."""
    return dict(taken(action, "_low_level_execute_command", "ActionBase._low_level_execute_command")(script, sudoable=True))


def expanded(action: ActionBase, path: str) -> str:
    """Return a path on the host with its C(~) replaced."""
    return str(taken(action, "_remote_expand_user", "ActionBase._remote_expand_user")(path))


def joined(connection: t.Any, *parts: str) -> str:
    """Return the parts of a path on the host as one."""
    return str(taken(_shell_of(connection), "join_path", "Connection._shell.join_path")(*parts))


def is_windows(connection: t.Any) -> bool:
    """Return whether the host is one that has no processes as Unix knows them."""
    return bool(getattr(_shell_of(connection), "_IS_WINDOWS", False))


def forget_directory(connection: t.Any) -> None:
    """Forget the directory for modules on the host: it belongs to another user, or went with a connection."""
    taken(_shell_of(connection), "tmpdir", "Connection._shell.tmpdir")
    connection._shell.tmpdir = None


def _shell_of(connection: t.Any) -> t.Any:
    return taken(connection, "_shell", "Connection._shell")


def set_become_plugin(connection: t.Any, plugin: t.Any) -> None:
    """Let an open connection become somebody else from now on, or nobody (None)."""
    taken(connection, "set_become_plugin", "Connection.set_become_plugin")(plugin)
    forget_directory(connection)


def new_become_plugin(task: t.Any, method: str, task_vars: dict[str, t.Any], templar: t.Any) -> t.Any:
    """Return a become plugin, with the options that a task and variables give to it.

    :raises AsyncJobError: if there is none of that name
    """
    plugin = taken(module("ansible.plugins.loader"), "become_loader").get(method)
    if plugin is None:
        raise AsyncJobError(f"The become method {method!r} does not exist. Correct become_method.")
    definitions = taken(plugin, "option_definitions", "AnsiblePlugin.option_definitions").values()
    names = [variable["name"] for definition in definitions for variable in definition.get("vars", ())]
    variables = {name: templar.template(task_vars[name]) for name in names if name in task_vars}
    plugin.set_options(task_keys=taken(task, "dump_attrs")(), var_options=variables)
    return plugin


def hide_from_log(action: ActionBase) -> None:
    """Keep what the host says from the log of the connection, from now on."""
    for context in (taken(action, "_play_context"), taken(action._connection, "_play_context", "Connection._play_context")):
        taken(context, "no_log", "PlayContext.no_log")
        context.no_log = True


def use_pipelining(connection: t.Any) -> bool:
    """Send modules through the connection rather than as files. Return whether that is new."""
    try:
        if not connection.has_pipelining or connection.get_option("pipelining"):
            return False
        connection.set_option("pipelining", True)
    except (AttributeError, KeyError):  # another kind of connection
        return False
    forget_directory(connection)
    return True


def stop_pipelining(connection: t.Any) -> bool:
    """Send modules as files. Return whether that is new."""
    if not connection.get_option("pipelining"):
        return False
    connection.set_option("pipelining", False)
    return True


def pipelines(action: ActionBase) -> bool:
    """Return whether modules of a task go through the connection."""
    return bool(taken(action, "_is_pipelining_enabled", "ActionBase._is_pipelining_enabled")("new"))


def ways_of_modules(action: ActionBase, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what Ansible tells each module of how to work on the host: its shell, and its log."""
    told: dict[str, t.Any] = {}
    taken(action, "_update_module_args", "ActionBase._update_module_args")("ansible.builtin.ping", told, task_vars)
    return told


@contextlib.contextmanager
def in_environment(task: t.Any, variables: dict[str, str]) -> t.Iterator[None]:
    """Add variables to the keyword environment of a task for a while."""
    before = task.environment
    task.environment = [*(before if isinstance(before, list) else [before] if before else []), variables]
    try:
        yield
    finally:
        task.environment = before


@contextlib.contextmanager
def private_cache_files() -> t.Iterator[None]:
    """Let plugins that cache in files make these so that nobody else can read them at any time, for a while."""
    base = taken(module("ansible.plugins.cache"), "BaseFileCacheModule", "ansible.plugins.cache.BaseFileCacheModule")
    for name in ("_dump", "_get_cache_file_name"):
        taken(base, name)
    # Since ansible-core 2.19, what is written is wrapped above this method, and so no object's own can take its place.
    theirs = taken(base, "set")
    base.set = _set_private
    try:
        yield
    finally:
        base.set = theirs


def _set_private(plugin: t.Any, key: str, value: t.Any) -> None:
    """Do what a plugin that caches in files does with a value, but for a file that is private from its first moment on."""
    plugin._cache[key] = value
    file = plugin._get_cache_file_name(key)
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(file))
        os.close(descriptor)
        plugin._dump(value, temporary)
        os.rename(temporary, file)
    except OSError as error:
        Display().warning(harmless_lines(f"The inventory cannot be cached in {file}: {error.strerror}."))
        with contextlib.suppress(OSError):
            os.unlink(temporary)


@contextlib.contextmanager
def shell_option(connection: t.Any, name: str, value: t.Any) -> t.Iterator[None]:
    """Set an option of the shell of a connection for a while."""
    with _option(_shell_of(connection), name, value, needed=True):
        yield


@contextlib.contextmanager
def connection_option(connection: t.Any, name: str, value: t.Any) -> t.Iterator[None]:
    """Set an option of a connection for a while. Another kind than ssh that does not have it has no use for it."""
    with _option(connection, name, value, needed=connection.transport in _SSH):
        yield


@contextlib.contextmanager
def _option(plugin: t.Any, name: str, value: t.Any, *, needed: bool) -> t.Iterator[None]:
    try:
        before = plugin.get_option(name)
    except (AnsibleError, KeyError):
        if needed:
            raise gone(f"option {name} of {type(plugin).__module__}") from None
        yield
        return
    plugin.set_option(name, value)
    try:
        yield
    finally:
        plugin.set_option(name, before)


lost_output: list[str] = []
"""Why this process cannot write its standard output, for one because the disk is full. Empty as long as it can."""


def keep_printing() -> None:
    """See to it that this process, that of ansible-playbook, leaves out what it cannot print.

    A thread of it prints for the workers. It ends at the first line that nobody takes, as behind C(| head), in a pager that was left, or on
    a full disk: then no result of a worker arrives any more, and the playbook waits for ever.
    """
    display = Display()
    if "display" in vars(display):
        return
    display_once = display.display
    told: list[str] = []

    def display_or_not(*args: t.Any, **kwargs: t.Any) -> None:
        try:
            display_once(*args, **kwargs)
        except OSError as error:
            if isinstance(error, BrokenPipeError):  # whoever reads has read enough
                return
            if not kwargs.get("stderr"):
                lost_output.append(str(error.strerror))
            if told:
                return
            told.append(f"[WARNING]: Output is lost, because it cannot be written: {error.strerror}.")
            with contextlib.suppress(OSError):
                display_once(told[0], stderr=True)
        except (AttributeError, ValueError):
            if all(file is not None and not file.closed for file in (sys.stdout, sys.stderr)):
                raise

    display.display = display_or_not


def run_action(outer: ActionBase, name: str, args: dict[str, t.Any], task_vars: dict[str, t.Any], **settings: t.Any) -> dict[str, t.Any]:
    """Run another action of this collection as a task of its own, on the connection of this one.

    :arg settings: attributes of that action that no task can say
    """
    chosen = choose_action(outer, name)
    if chosen is None:
        raise gone(name)
    task = inner_task(outer._task, action=name, args=args, limit=0)
    handler = handler_of(outer, chosen, task)
    for setting, value in settings.items():
        setattr(handler, setting, value)
    return dict(handler.run(task_vars=task_vars))

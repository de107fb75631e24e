"""Start a program so that it ends with the one that started it.

Run as a script, by path, with nothing imported but the standard library: it sets itself up and then becomes the
program (exec), so the process id stays and nothing of this launcher remains in memory.

    python launch.py --parent PID --signal N [--user UID:GID] [--reach-closed-folders] -- PROGRAM ARGUMENTS...

--parent   the process that must stay alive; when it is gone already, nothing is started.
--signal   what the kernel sends to the program when the parent dies (Linux only: prctl PR_SET_PDEATHSIG).
--user     numeric user and group to run as (PostgreSQL refuses to run as root).
--reach-closed-folders  let that user pass through folders closed to it, by keeping root's file access in place of
           changing the mode of folders that are not ours (Linux capabilities; without them: exit 78 and say so).

Limits: macOS knows no such signal. There a run that was killed leaves its children behind; the next start finds
them by their records (children.py) and ends them.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
# A change of user takes no capabilities away, and access(2), by which initdb looks for its programs, counts them.
NO_SETUID_FIXUP, KEEP_CAPS = 1 << 2, 1 << 4
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
CANNOT_REACH = 78


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _prctl(option: int, *values: int) -> bool:
    """Call prctl; False where the system has none or refuses."""
    if not sys.platform.startswith("linux"):
        return False
    padded = (*values, 0, 0, 0, 0)[:4]
    return int(ctypes.CDLL(None, use_errno=True).prctl(option, *map(ctypes.c_ulong, padded))) == 0


def _become(user: int, group: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def _keep_file_access() -> bool:
    """Keep of root's rights only the passing of folders and files closed to others; False where that is refused."""
    wanted = (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)
    libc = ctypes.CDLL(None, use_errno=True)
    for choice in (wanted, wanted[:1]):  # containers often withhold the second one, and the first is enough
        mask = sum(1 << capability for capability in choice)
        sets = (_CapabilitySets * 2)(_CapabilitySets(mask, mask, mask))
        header = _CapabilityHeader(LINUX_CAPABILITY_VERSION_3, 0)
        if libc.capset(ctypes.byref(header), sets) == 0:
            return all(_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability) for capability in choice)
    return False


def _change_user(user: int, group: int, reach_closed_folders: bool) -> None:
    """Become the given user, keeping file access where asked for; ends the launcher where that cannot be."""
    if reach_closed_folders:
        kept = _prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP | KEEP_CAPS)
        _become(user, group)
        if not (kept and _keep_file_access()):
            sys.stderr.write("launch: this system does not let an ordinary user pass the folders above\n")
            sys.exit(CANNOT_REACH)
    else:
        _become(user, group)


def main(arguments: list[str]) -> None:
    """Set up and become the program named after the `--`."""
    split = arguments.index("--")
    options, program = arguments[:split], arguments[split + 1 :]
    parent = int(options[options.index("--parent") + 1])
    if "--user" in options:
        user, group = options[options.index("--user") + 1].split(":")
        _change_user(int(user), int(group), "--reach-closed-folders" in options)
    # After the change of user: the kernel forgets the wish when credentials change.
    _prctl(PR_SET_PDEATHSIG, int(options[options.index("--signal") + 1]))
    if os.getppid() != parent:  # it died before the wish was heard
        sys.exit(1)
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])

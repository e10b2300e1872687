#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Install the build tree to a prefix, and remove exactly what was installed.

usage: install.py install|uninstall BUILD PREFIX      (DESTDIR is taken from the environment)

What an install wrote (files, links, and directories that it had to create) is remembered in
BUILD/installed/, one list for each destination; a second install adds to its list.
"""
import os
import pathlib
import subprocess
import sys
import urllib.parse


def fail(text):
    sys.exit(f"install.py: {text}")


def list_path(build, destdir, prefix):
    return build / "installed" / (urllib.parse.quote(f"{destdir}:{prefix}", safe="") + ".txt")


def configured_prefix(build):
    import json

    options = subprocess.check_output(["meson", "introspect", "--buildoptions", build])
    return next(o["value"] for o in json.loads(options) if o["name"] == "prefix")


def install(build, destdir, prefix):
    if not (build / "build.ninja").exists():
        subprocess.check_call(["meson", "setup", build, f"-Dprefix={prefix}"])
    elif configured_prefix(build) != prefix:
        subprocess.check_call(["meson", "configure", build, f"-Dprefix={prefix}"])
    subprocess.check_call(["ninja", "-C", build])
    command = ["meson", "install", "-C", str(build), "--no-rebuild"]
    subprocess.check_call(command + (["--destdir", destdir] if destdir else []))
    log = (build / "meson-logs" / "install-log.txt").read_text().splitlines()
    written = [line for line in log if line and not line.startswith("#")]
    path = list_path(build, destdir, prefix)
    path.parent.mkdir(exist_ok=True)
    known = path.read_text().splitlines() if path.exists() else []
    path.write_text("".join(f"{p}\n" for p in sorted(set(known + written))))
    if not destdir and os.geteuid() == 0:
        subprocess.call(["ldconfig"], stderr=subprocess.DEVNULL)


def remove(path):
    try:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as e:
        # A directory that now holds something of somebody else's stays.
        if not path.is_dir():
            fail(f"cannot remove {path}: {e.strerror}")


def uninstall(build, destdir, prefix):
    path = list_path(build, destdir, prefix)
    if not path.exists():
        fail(f"nothing is known to be installed from {build} to {destdir}{prefix}")
    # Longest first, so that directories come after what they hold.
    names = path.read_text().splitlines()
    for name in sorted(names, key=len, reverse=True):
        remove(pathlib.Path(name))
    path.unlink()
    print(f"removed what install wrote to {destdir}{prefix} ({len(names)} entries)")


def main(args):
    if len(args) != 3 or args[0] not in ("install", "uninstall"):
        sys.exit(__doc__.strip())
    build, prefix = pathlib.Path(args[1]).absolute(), os.path.abspath(args[2])
    destdir = os.environ.get("DESTDIR", "")
    destdir = os.path.abspath(destdir) if destdir else ""
    os.environ.pop("DESTDIR", None)
    {"install": install, "uninstall": uninstall}[args[0]](build, destdir, prefix)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Names that do something by being there, made harmless: the policy for what arrives. Pure.

A name that hides is given `_` before it; one that a system acts on is given `_` behind it:

| sent | saved | why |
|---|---|---|
| `.bashrc`, `.git`, `.ssh`, `.config` | `_.bashrc` … | hidden, and read by programs |
| `setup.exe`, `x.desktop`, `a.lnk`, `b.url` | `setup.exe_` … | opened, it runs or leads elsewhere |
| `disk.iso`, `disk.vhdx`, `disk.dmg` | `disk.iso_` … | opened, it is mounted |
| `desktop.ini`, `autorun.inf`, `authorized_keys` | `desktop.ini_` … | read by a system as it is |
| `-rf`, `~` | `_-rf`, `_~` | taken for an option, or for a home, where a shell names all files |
| `GIT~1` | `GIT~1_` | the short name by which Windows knows `.git` |

Sources: Chromium's `download_file_types` (dangerous and not sandboxed, and disk images), the
attachments that Outlook blocks, what Windows' Attachment Manager calls high risk (KB 883260), what
Explorer and macOS' DiskImageMounter mount, git's `verify_path` with `core.protectNTFS` and
`core.protectHFS`, freedesktop.org Desktop Application Autostart.
"""

import os
import re
from typing import Final, Literal

from sharezync.names import MAX_NAME_BYTES, clean_parts, key_of, shortened

Danger = Literal["hidden", "opens", "system", "option"]
"""`hidden`: not shown, and read by programs. `opens`: runs, is mounted or leads elsewhere when it
is opened. `system`: read by a system under this very name. `option`: no name to a shell."""

_MARK: Final = "_"

_SYSTEM: Final = frozenset(
    {
        *("desktop.ini", "autorun.inf", "folder.htt", "thumbs.db", "ehthumbs.db", "ntuser.dat"),
        *("boot.ini", "authorized_keys", "authorized_keys2", "known_hosts", "crontab"),
        *("autostart", "startup", "start menu", "launchagents", "launchdaemons", "startupitems"),
        *("loginitems", "$recycle.bin", "recycler", "system volume information"),
    }
)
_WINDOWS: Final = """
accde accdr accdu action ade adp appcontent-ms appinstaller application appref-ms appx appxbundle
asp bas bat bgi chm cmd cnt com contact cpl deskthemepack diagcab diagcfg dll dqy exe fxp gadget grp
hlp hpj hta htc htt inf ins iqy isp its job jnlp jse ksh-ms library-ms lnk
mad maf mag mam maq mar mas mat mau mav maw mcf mda mde mdt mdw mdz msc msh msh1 msh2 mshxml msi
msix msixbundle msp mst msu ocx one onepkg ops oqy osd pcd pif plg ppkg prf prg printerexport ps1
ps1xml ps2 ps2xml psc1 psc2 psd1 psdm1 psm1 pssc rdp reg rqy scf scr sct search-ms
searchconnector-ms settingcontent-ms shb shs slk sys theme themepack url vb vbe vbp vbs vsmacros
vsto vsw vxd webpnp website wll ws wsb wsc wsf wsh wsl xbap xll xnk
"""
"""Programs, installers, scripts of its own, shortcuts, and what loads one of these."""
_MACOS: Final = """
afploc app atloc caction command dfont fileloc ftploc inetloc mailloc mobileconfig mpkg newsloc osx
pkg prefpane safariextz saver scpt scptd shortcut terminal tool vncloc wdgt webarchive webloc
workflow
"""
"""Programs, installers, what installs itself when it is opened, and locations."""
_LINUX: Final = "appimage deb desktop flatpak flatpakref flatpakrepo kdelnk rpm run snap"
_ANYWHERE: Final = "apk crx jar swf vsix xpi"
"""Programs and extensions for what runs on several systems."""
_IMAGES: Final = """
asif cdr dart dc42 diskcopy42 dmg dmgpart dvdr img imgpart iso ndif smi sparsebundle sparseimage
toast udif vhd vhdx
"""
"""Disk images, which are mounted: what lies in them has its own names, and no mark of whence it
came, so that no system asks before it runs it."""
_OPENS: Final = frozenset(f"{_WINDOWS} {_MACOS} {_LINUX} {_ANYWHERE} {_IMAGES}".split())
_OPENS_ON_WINDOWS: Final = frozenset(
    {"js", "pl", "py", "pyc", "pyd", "pyo", "pyw", "pyz", "pyzw", "rb", "sh"}
)
"""Source elsewhere, and nothing runs by its name there; with Windows, opening it runs it."""
_SHORT_NAME: Final = re.compile(r"[^.]{1,8}~[0-9]+")
_CLASS_ID: Final = re.compile(r"\.\{[0-9a-f-]{36}\}$")
"""A folder called so becomes a part of Windows: `x.{ED7BA470-…}`."""


def dangers_of(name: str, *, windows: bool = os.name == "nt") -> tuple[Danger, ...]:
    """Return what a clean name would do by being there."""
    key = key_of(name)
    found: list[Danger] = []
    if key.startswith("."):
        found.append("hidden")
    elif key.startswith(("-", "~")):
        found.append("option")
    extension = key.rpartition(".")[2] if "." in key else ""
    if key in _SYSTEM or _SHORT_NAME.fullmatch(key):
        found.append("system")
    elif (
        extension in _OPENS or (windows and extension in _OPENS_ON_WINDOWS) or _CLASS_ID.search(key)
    ):
        found.append("opens")
    return tuple(found)


def defused(name: str, *, windows: bool = os.name == "nt") -> str:
    """Return a clean name so that it does nothing; one that does nothing anyway as it is.

    Defusing twice changes nothing, and the result is as long as file systems take at most.
    """
    if set(dangers_of(name, windows=windows)) & {"hidden", "option"}:
        name = shortened(_MARK + name)
    # Asked again: cutting a name to its length may have made another of it.
    if set(dangers_of(name, windows=windows)) & {"opens", "system"}:
        name = shortened(name, limit=MAX_NAME_BYTES - len(_MARK)) + _MARK
    return name


def arriving_parts(path: str) -> tuple[str, ...]:
    """Return what a path from elsewhere is called here: clean, and each of its names defused."""
    return tuple(map(defused, clean_parts(path)))


def dangers_in(path: str) -> tuple[Danger, ...]:
    """Return what a path from elsewhere would do if it were saved as it is called."""
    found = [danger for part in clean_parts(path) for danger in dangers_of(part)]
    return tuple(dict.fromkeys(found))

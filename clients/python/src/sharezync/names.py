"""Names from strangers, made safe to save, and those that do something made harmless. Pure.

The server cleans names as well; who receives trusts nobody, and cleans again. A name that hides is
given `_` before it; one that a system acts on is given `_` behind it:

| sent | saved | why |
|---|---|---|
| `.bashrc`, `.git`, `.ssh`, `.config` | `_.bashrc` … | hidden, and read by programs |
| `setup.exe`, `x.desktop`, `a.lnk`, `b.url` | `setup.exe_` … | opened, it runs or leads elsewhere |
| `disk.iso`, `disk.vhdx`, `disk.dmg` | `disk.iso_` … | opened, it is mounted |
| `desktop.ini`, `autorun.inf`, `authorized_keys` | `desktop.ini_` … | read by a system as it is |
| `-rf`, `~` | `_-rf`, `_~` | taken for an option, or for a home, where a shell names all files |
| `GIT~1` | `GIT~1_` | the short name by which Windows knows `.git` |

Sources: Microsoft, "Naming Files, Paths, and Namespaces"; Unicode TR36 (bidirectional spoofing);
NAME_MAX; Chromium's `download_file_types` (dangerous and not sandboxed, and disk images), the
attachments that Outlook blocks, what Windows' Attachment Manager calls high risk (KB 883260), what
Explorer and macOS' DiskImageMounter mount, git's `verify_path` with `core.protectNTFS` and
`core.protectHFS`, freedesktop.org Desktop Application Autostart.
"""

import os
import re
import unicodedata
from collections.abc import Iterator
from typing import Final, Literal

MAX_NAME_BYTES: Final = 255
MAX_DEPTH: Final = 32
MAX_PATH_BYTES: Final = 1024
"""As the server has it. What is much longer can be made, name by name, and no program opens it."""
NAMELESS: Final = "file"
_MAX_GIVEN: Final = 4 * MAX_NAME_BYTES
_END_GIVEN: Final = 128
"""Of a longer name only the beginning and these last characters, with its suffix, are cleaned."""

_RESERVED: Final = re.compile(r'[<>:"|?*]')
_DEVICE: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE
)
_JOINERS: Final = "\u200c\u200d"  # words of Persian and families of emoji need them
_NO_JOINERS: Final = dict.fromkeys(map(ord, _JOINERS))
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
# What chooses a variant of an emoji, an ideograph or a Mongolian letter, and is not seen itself.
_VARIANTS: Final = re.compile(
    "(^|[^\ufe00-\ufe0f\u180b-\u180f\U000e0100-\U000e01ef])"
    "([\ufe00-\ufe0f\u180b-\u180f\U000e0100-\U000e01ef]+)(\u20e3?)"
)
# Letters, marks and signs that look like nothing; server and terminals take them for spaces too.
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")

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


def clean_parts(path: str) -> tuple[str, ...]:
    """Return a path from elsewhere as names that stay inside whatever folder they are put in.

    Never empty; no name is `.`, `..`, invisible, a device, or longer than file systems take.
    A path too deep or too long loses its middle folders.
    """
    segments = [_visible(each) for each in re.split(r"[/\\]", _DRIVE.sub("", path))]
    parts = [clean_name(each) for each in segments if each.strip(" ." + _JOINERS)]
    if len(parts) > MAX_DEPTH:
        parts = [*parts[: MAX_DEPTH - 1], parts[-1]]
    while len(parts) > 1 and len("/".join(parts).encode()) > MAX_PATH_BYTES:
        del parts[-2]
    return tuple(parts) or (NAMELESS,)


def clean_name(given: str) -> str:
    """Return one name as it can be saved anywhere."""
    name = _visible(given).replace("/", "_").replace("\\", "_")
    name = _RESERVED.sub("_", name).lstrip(" " + _JOINERS).rstrip(". " + _JOINERS) or NAMELESS
    if _DEVICE.fullmatch(name.partition(".")[0].rstrip(" " + _JOINERS)):
        name = f"_{name}"
    return shortened(name)


def shortened(name: str, suffix: str = "", limit: int = MAX_NAME_BYTES) -> str:
    """Return a name that has room for `suffix` before its extension, within the limit in bytes."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len((dot + extension).encode()) > 32:
        stem, dot, extension = name, "", ""
    available = limit - len((suffix + dot + extension).encode())
    kept = stem.encode()[:available].decode(errors="ignore")
    if kept != stem:
        kept = kept.rstrip(". " + _JOINERS)  # Windows would drop them, and make another name of it
    return f"{kept}{suffix}{dot}{extension}"


def numbered(name: str) -> Iterator[str]:
    """Yield a name, then others like it: `a.txt`, `a (1).txt`, `a (2).txt` …"""
    yield name
    number = 1
    while True:
        yield shortened(name, f" ({number})")
        number += 1


def key_of(name: str) -> str:
    """Return what is the same for names that some file systems take for one.

    By case (Windows, macOS), by composition (macOS), and by joiners, which HFS+ passes over.
    """
    bare = name.translate(_NO_JOINERS)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", bare).casefold())


def _visible(given: str) -> str:
    """Return it in NFC, of what can be seen; twice, as neighbours may combine then."""
    if len(given) > _MAX_GIVEN:
        given = given[: _MAX_GIVEN - _END_GIVEN] + given[-_END_GIVEN:]
    shown = "".join(map(_shown, unicodedata.normalize("NFC", given)))
    return unicodedata.normalize("NFC", _VARIANTS.sub(_variant, shown))


def _variant(match: re.Match[str]) -> str:
    """Return a character's variation selector; nothing where there is no variant of it."""
    varied, selectors, keycap = match.groups()
    if varied and (keycap or not (varied.isascii() or varied in _JOINERS)):
        return f"{varied}{selectors[0]}{keycap}"
    return f"{varied}{keycap}"


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "Z" or character in _BLANKS:
        return " "
    if character in _JOINERS:
        return character
    # Controls, formats (bidirectional ones among them), halves of surrogates, private use.
    if category in {"Cc", "Cf", "Cs", "Co"} or (category == "Cn" and _never_seen(character)):
        return ""
    return character


def _never_seen(character: str) -> bool:
    """Whether it is none (Unicode §23.7), or ignorable whatever it will be assigned to."""
    code = ord(character)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return noncharacter or code == 0x2065 or 0xFFF0 <= code <= 0xFFF8 or 0xE0000 <= code <= 0xE0FFF


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

"""Names that do something by being there: the table of what becomes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharezync.names import arriving_parts, clean_name, clean_parts, dangers_in, dangers_of, defused

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from(list("./\\:.-~ _\u200c\u200d\u3164\u0301AUTORNexlnkdsp{}1")),
        st.characters(),
    ),
    max_size=40,
)

SAVED = {
    # hidden, and read by programs
    ".bashrc": "_.bashrc",
    ".bash_profile": "_.bash_profile",
    ".ssh/authorized_keys": "_.ssh/authorized_keys_",
    ".git/hooks/pre-commit": "_.git/hooks/pre-commit",
    ".config/autostart/x.desktop": "_.config/autostart_/x.desktop_",
    ".sharezync-0123/0.chunks": "_.sharezync-0123/0.chunks",
    "a/.x.lnk": "a/_.x.lnk_",
    "\u200d.bashrc": "_.bashrc",
    ".g\u200cit/config": "_.g\u200cit/config",  # HFS+ passes over joiners
    "...hidden": "_...hidden",
    # what runs or leads elsewhere when it is opened
    "setup.exe": "setup.exe_",
    "SETUP.EXE": "SETUP.EXE_",
    "report.pdf.scr": "report.pdf.scr_",
    "report.pdf.e\u200dxe": "report.pdf.e\u200dxe_",
    "run.bat": "run.bat_",
    "run.cmd": "run.cmd_",
    "run.ps1": "run.ps1_",
    "macro.vbs": "macro.vbs_",
    "photo.lnk": "photo.lnk_",
    "home.url": "home.url_",
    "x.desktop": "x.desktop_",
    "Game.app/Contents/Info.plist": "Game.app_/Contents/Info.plist",
    "do.command": "do.command_",
    "all.{ED7BA470-8E54-465E-825C-99712043E01C}": "all.{ED7BA470-8E54-465E-825C-99712043E01C}_",
    "all.{ED7BA470-8E54-465E-825C-99712043E01C}_": "all.{ED7BA470-8E54-465E-825C-99712043E01C}_",
    "box.wsb": "box.wsb_",
    "distribution.wsl": "distribution.wsl_",
    "notes.one": "notes.one_",
    "pictures.library-ms": "pictures.library-ms_",
    "pictures.search-ms": "pictures.search-ms_",
    "manual.chm": "manual.chm_",
    "share.afploc": "share.afploc_",
    "blanker.saver/Contents/x": "blanker.saver_/Contents/x",
    "tool.jar": "tool.jar_",
    "add-in.vsto": "add-in.vsto_",
    "kb.msu": "kb.msu_",
    "setup.exe\ufe0f": "setup.exe_",
    # mounted when it is opened
    "debian.iso": "debian.iso_",
    "disk.IMG": "disk.IMG_",
    "disk.vhd": "disk.vhd_",
    "disk.vhdx": "disk.vhdx_",
    "disk.dmg": "disk.dmg_",
    "disk.sparsebundle/bands/0": "disk.sparsebundle_/bands/0",
    "invoice.pdf.toast": "invoice.pdf.toast_",
    # read by a system under this very name
    "desktop.ini": "desktop.ini_",
    "photos/Thumbs.db": "photos/Thumbs.db_",
    "AutoRun.inf": "AutoRun.inf_",
    "authorized_keys": "authorized_keys_",
    "GIT~1/config": "GIT~1_/config",
    # no name to a shell
    "-rf": "_-rf",
    "~": "_~",
    # streams, devices, ends, ways out: clean before
    "a.txt:evil.exe": "a.txt_evil.exe_",
    "nul.txt": "_nul.txt",
    "setup.exe. .": "setup.exe_",
    "setup.exe\u3164": "setup.exe_",
    "../../.bashrc": "_.bashrc",
    "C:\\autorun.inf": "autorun.inf_",
    "photo\u202egpj.exe": "photogpj.exe_",
    # harmless, and left alone
    "holiday/1.jpg": "holiday/1.jpg",
    "naïve 😀.txt": "naïve 😀.txt",
    "index.js": "index.js",
    "run.sh": "run.sh",
    "می‌خواهم.txt": "می‌خواهم.txt",
    "notes.exec": "notes.exec",
    "_.bashrc": "_.bashrc",
    "setup.exe_": "setup.exe_",
}


@pytest.mark.parametrize(("sent", "saved"), SAVED.items())
def test_what_becomes_of_a_name(sent: str, saved: str) -> None:
    assert "/".join(arriving_parts(sent)) == saved
    changed = clean_parts(sent) != arriving_parts(sent)
    assert bool(dangers_in(sent)) == changed, "what is changed is told, and nothing else"


@pytest.mark.parametrize("name", ["index.js", "tool.py", "tool.pyzw", "run.sh"])
def test_source_is_dangerous_where_opening_it_runs_it(name: str) -> None:
    assert defused(name, windows=True) == f"{name}_"
    assert defused(name, windows=False) == name


@given(HOSTILE)
def test_nothing_that_arrives_is_dangerous(path: str) -> None:
    for part in arriving_parts(path):
        assert not dangers_of(part)
        assert len(part.encode()) <= 255
        assert not part.startswith((".", "-", "~"))


@given(HOSTILE)
def test_defusing_twice_changes_nothing(path: str) -> None:
    once = arriving_parts(path)
    assert arriving_parts("/".join(once)) == once


@pytest.mark.parametrize(
    "sent",
    [
        "." + "a" * 254,
        "a" * 251 + ".exe",
        "." + "a" * 250 + ".exe",
        "a" * 251 + ".exe" + "b" * 40,  # cut to its length it would end in .exe
        "." + "a" * 250 + ".exe" + "b" * 40,
        "ü" * 126 + ".lnk",
    ],
)
def test_names_of_any_length_stay_harmless_and_fit(sent: str) -> None:
    saved = defused(clean_name(sent))
    assert not dangers_of(saved)
    assert len(saved.encode()) <= 255

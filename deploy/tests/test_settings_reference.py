"""The page of all settings says what the source says."""

from deploy.settings_reference import PAGE, SOURCES, page, settings_of


def test_the_page_is_what_the_source_says() -> None:
    assert PAGE.read_text() == page(), "python -m deploy.settings_reference writes it"


def test_every_setting_says_what_it_is_for() -> None:
    every = [each for source in SOURCES.values() for each in settings_of(*source)]
    assert [each.variable for each in every if not each.meaning] == []
    assert len(every) > 100

from playwright.async_api import Page


async def test_chromium_starts(tab: Page) -> None:
    await tab.set_content("<h1>hello</h1>")

    assert await tab.inner_text("h1") == "hello"

"""The pages that are open: each has a small queue of its own; who is slow loses frames, nobody else does."""

import asyncio
from collections.abc import Callable

from host.panel.security import Allowance, Role

MAX_QUEUED = 12
MAX_PAGES = 24
MAX_PAGES_OF_ONE = 8
ASKS_A_SECOND, ASKS_AT_ONCE = 60.0, 240.0
MAX_REFUSED = 500  # asks over the allowance before the page is closed


class Page:
    """One open page. `waiting`: it gets nothing until the next whole picture."""

    def __init__(self, number: int, address: str, role: Role) -> None:
        self.number = number
        self.address = address
        self.role = role
        self.waiting = True
        self.weigh = False
        self.asks = Allowance(ASKS_A_SECOND, ASKS_AT_ONCE)
        self.refused = 0
        self.queue: asyncio.Queue[str] = asyncio.Queue(MAX_QUEUED)

    @property
    def who(self) -> str:
        """What the person is called for whom this page is open."""
        return f"panel {self.number}"

    def offer(self, text: str) -> bool:
        """Queue a message; False: there is no room."""
        try:
            self.queue.put_nowait(text)
        except asyncio.QueueFull:
            return False
        return True


class Pages:
    """All of them."""

    def __init__(self, changed: Callable[[int, bool, bool], None]) -> None:
        """`changed(count, begin, weigh)`: how many are open, whether one has to begin anew, and whether one of
        them shows what was weighed.
        """
        self._changed = changed
        self._pages: dict[int, Page] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def open(self, address: str, role: Role) -> Page | None:
        """A new page, with the lowest free number; None when there are too many."""
        of_one = sum(page.address == address for page in self._pages.values())
        if len(self._pages) >= MAX_PAGES or of_one >= MAX_PAGES_OF_ONE:
            return None
        number = next(n for n in range(1, MAX_PAGES + 1) if n not in self._pages)
        page = self._pages[number] = Page(number, address, role)
        self.tell(begin=True)
        return page

    def close(self, page: Page) -> None:
        """It is gone."""
        del self._pages[page.number]
        self.tell()

    def tell(self, begin: bool = False) -> None:
        """Say how many watch, and what they want."""
        self._changed(len(self._pages), begin, any(page.weigh for page in self._pages.values()))

    def frame(self, text: str) -> None:
        """To everybody who is up to date."""
        behind = False
        for page in self._pages.values():
            if page.waiting:
                continue
            if not page.offer(text):
                page.waiting = behind = True
        if behind:
            self.tell()

    def whole(self, text: str) -> None:
        """To those who wait for it."""
        for page in self._pages.values():
            if page.waiting and page.offer(text):
                page.waiting = False

    def answer(self, number: int, text: str) -> None:
        """To one page, if it is still open."""
        if number in self._pages:
            self._pages[number].offer(text)

    def everybody(self, text: str) -> None:
        """Something that stands alone, so that it may be missed."""
        for page in self._pages.values():
            page.offer(text)

    def caught_up(self, page: Page) -> None:
        """A page that was slow has read everything: it may begin anew."""
        if page.waiting:
            self.tell(begin=True)

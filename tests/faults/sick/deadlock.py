"""Two threads, each of which has one lock and waits for the other one's."""

import threading

import work


def live(behaviour, told):
    """The main thread is one of the two."""
    books, orders = threading.Lock(), threading.Lock()
    met = threading.Barrier(2)
    feed = work.until(told, behaviour)
    threading.Thread(target=settle, args=(orders, books, met), daemon=True).start()
    book(books, orders, met)
    feed.close()


def book(books, orders, met):
    """Has the books, wants the orders."""
    with books:
        met.wait()
        orders.acquire()


def settle(orders, books, met):
    """Has the orders, wants the books."""
    with orders:
        met.wait()
        books.acquire()

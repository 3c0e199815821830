"""Answers who asks for a worker's place, and takes the order to pass it on (``deltawire shards``)."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from deltawire.jetstream.connection import Connection
from deltawire.jetstream.moves import Give, Here, decode_order, encode, give_subject, who_subject

log = logging.getLogger(__name__)


class Desk:
    """``here``: what this worker says of itself now. ``order``: to whom it is to pass the place on, once it has been
    asked to; the worker takes it away when that is done. In the connection's thread, but for ``order``."""

    def __init__(self, connection: Connection, here: Callable[[], Here]) -> None:
        self.order: Give | None = None
        self._connection = connection
        self._here = here

    async def serve(self) -> None:
        """From the first connection on; subscriptions outlive its loss."""
        await self._connection.connected()
        here, settings = self._here(), self._connection.settings
        client = self._connection.client
        await client.subscribe(who_subject(settings), cb=self._tell)
        await client.subscribe(give_subject(settings, here.place, here.host), cb=self._take)

    async def _tell(self, question: Any) -> None:
        if question.reply:
            await self._connection.client.publish(question.reply, encode(self._here()))

    async def _take(self, request: Any) -> None:
        problem = self._objection(request.data)
        if request.reply:
            await self._connection.client.publish(request.reply, problem.encode())

    def _objection(self, data: bytes) -> str:
        """"" where the order is taken."""
        try:
            order = decode_order(data)
        except msgspec.MsgspecError as error:
            return f"this is no order: {error}"
        here = self._here()
        if here.waits_for and order.anew and order.to == here.host:
            log.info("begins with %s anew", here.place)
            self.order = order
            return ""
        if here.waits_for:
            return f"{here.place} waits for host {here.waits_for}"
        if not here.works:
            return f"{here.place} is not at work here"
        if order.to == here.host:
            return f"{here.place} is here already"
        if self.order is not None:
            return f"{here.place} is being passed on already"
        log.info("passes %s on to host %s", here.place, order.to)
        self.order = order
        return ""

"""The gateway as a part: its application, and the freshness board that it keeps up to date."""

from __future__ import annotations

from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.gauges import gauges_of
from slackwater.freshness.token import TokenSigner
from slackwater.gateway import GatewayDefinition, GatewayParts
from slackwater.http.server import serve
from slackwater.installation import Installation
from slackwater.logs import logger
from slackwater.parts.board import followed_board
from slackwater.parts.projector import prepare_active
from slackwater.read_models.target import LostRowsError
from slackwater.settings import token_secret
from slackwater.watermarks.record import WATERMARKS

_log = logger("gateway")


async def run_gateway(installation: Installation) -> None:
    """Serve GraphQL until cancelled."""
    definition = installation.manifest.gateway()
    await _prepare(installation, definition)
    settings = installation.settings
    async with (
        followed_board(installation, definition.read_models) as board,
        definition.app(_parts(installation, definition, board)) as app,
    ):
        with gauges_of(board, installation.clock):
            await serve(app, settings.host, settings.port)


async def _prepare(installation: Installation, definition: GatewayDefinition) -> None:
    """Create what is read, so that the gateway may start before anything has been projected."""
    await installation.event_log.create_topics([WATERMARKS])
    for read_model in definition.read_models:
        try:
            await prepare_active(installation, read_model.name)
        except LostRowsError as error:  # all others can be read
            _log.error("read model is lost", read_model=read_model.name, reason=str(error))


def _parts(
    installation: Installation, definition: GatewayDefinition, board: FreshnessBoard
) -> GatewayParts:
    def problems() -> list[str]:
        """Say what will be known soon; what waits for somebody is served as unknown meanwhile."""
        readings = [board.reading(each.name) for each in definition.read_models]
        return [
            f"read model {reading.read_model} has not caught up with {reach.source} yet"
            for reading in readings
            if reading.halt_reason is None
            for reach in reading.reaches.values()
            if reach.proven_elsewhere is None and not reach.has_parted
        ]

    return GatewayParts(
        settings=installation.settings,
        documents=installation.documents,
        search=installation.search,
        board=board,
        signer=TokenSigner(token_secret(installation.settings)),
        service_urls=installation.service_urls,
        clock=installation.clock,
        problems=problems,
    )

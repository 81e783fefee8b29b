"""Serve a model: ``python -m universal_simulator.serving shipped:sota_v1``."""

import click

from universal_simulator.support.errors import InputError


@click.command()
@click.argument("model", default="models:/universal-simulator@champion")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets others in.")
@click.option("--port", default=5001, show_default=True, type=click.IntRange(0, 2**16 - 1))
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
def serve(model: str, host: str, port: int, device: str) -> None:
    """Answer forecasts over HTTP: JSON, npy, npz, and UM-Bridge's protocol (docs/serving.md)."""
    import uvicorn

    from universal_simulator.serving.emulator import Emulator
    from universal_simulator.serving.server import application

    try:
        emulator = Emulator.load(model, device)  # type: ignore[arg-type]
    except InputError as error:
        raise click.ClickException(str(error)) from error
    uvicorn.run(application(emulator), host=host, port=port)


if __name__ == "__main__":
    serve(prog_name="python -m universal_simulator.serving")

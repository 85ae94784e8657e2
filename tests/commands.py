"""The command line as tests call it."""

import json

from typer.testing import CliRunner

from numbabp.cli import app


def run(*arguments, status=0):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == status, result.output
    return result


def run_json(*arguments, status=0):
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(run(*arguments, "--json", status=status).stdout, parse_constant=refuse)


def refused(*arguments):
    """The one line on standard error of a run that ends with status 2."""
    result = run(*arguments, status=2)
    assert result.stdout == ""
    line = result.stderr.removesuffix("\n")
    assert "\n" not in line
    assert line.startswith("numbabp: ")
    return line

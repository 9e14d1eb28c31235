"""`llamacy serve`: names, keys, and a whole run, where the server is installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from llamacy.cli.certificates import Certificate, checked_certificate
from llamacy.cli.failures import UsageError
from llamacy.cli.options import LoadingFlags
from llamacy.cli.serve import api_keys, later, memory_size, named_model


def test_models_are_named_after_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    assert named_model("demo") == ("demo", "demo")
    assert named_model("user/repo:Q4_K_M") == ("user/repo:Q4_K_M", "user/repo:Q4_K_M")
    assert named_model("models/tiny.gguf") == ("tiny", "models/tiny.gguf")
    assert named_model(".") == (tmp_path.name, ".")
    assert named_model("small=demo") == ("small", "demo")
    assert named_model("a=b") == ("a=b", "a=b")


def test_keys_come_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLAMACY_API_KEY", raising=False)
    assert api_keys(None) == []
    monkeypatch.setenv("LLAMACY_API_KEY", "of-environment")
    assert api_keys(None) == ["of-environment"]
    file = tmp_path / "keys"
    file.write_text("first\n\n  second \n")
    assert api_keys(file) == ["first", "second"]
    file.write_text("\n")
    with pytest.raises(UsageError, match="wanted a key"):
        api_keys(file)
    with pytest.raises(UsageError, match="--api-key-file"):
        api_keys(tmp_path / "missing")


@pytest.mark.server
def test_a_model_loaded_on_demand_has_its_options() -> None:
    pytest.importorskip("llamacy.server", exc_type=ImportError)
    with later(LoadingFlags(), "demo", 3, 2).load() as model:
        assert model.engine.worker.max_active == 3
        assert model.engine.worker.n_capacity == 5


def test_sizes_of_memory_have_units() -> None:
    assert memory_size("2g") == 2 * 2**30
    assert memory_size("0.5K") == 512
    for wrong in ("", "G", "8X", "-1G", "nan", "infG", "0"):
        with pytest.raises(UsageError, match="--max-memory"):
            memory_size(wrong)


def test_options_about_unloading_need_loading_on_demand(shell: Any) -> None:
    done = shell("serve", "demo", "--max-memory", "8G")
    assert done.status == 2
    assert "--on-demand" in done.err


def test_two_models_of_one_name_are_refused(shell: Any) -> None:
    done = shell("serve", "demo", "demo=other.gguf")
    assert done.status == 2
    assert "same name" in done.err


def test_a_missing_library_is_an_error_that_says_how_to_install_it() -> None:
    code = (
        "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None; "
        "from llamacy.cli import main; sys.argv[1:] = ['serve', 'demo']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install '.[server]'" in done.stderr


@contextmanager
def serving(*words: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run `llamacy serve demo` on a free port."""
    pytest.importorskip("llamacy.server", exc_type=ImportError)
    command = [sys.executable, "-P", "-m", "llamacy", "serve", "demo", "--port", "0"]
    with subprocess.Popen(
        [*command, *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.server
def test_a_server_answers_until_ctrl_c() -> None:
    words = ["--on-demand", "--max-memory", "1G", "--no-page"]
    with serving(*words, LLAMACY_API_KEY="k") as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("llamacy: serving demo at http://127.0.0.1:")
        request = urllib.request.Request(
            said.split()[-1] + "/v1/chat/completions",
            data=b'{"messages": [{"role": "user", "content": "What is 12 + 30?"}]}',
            headers={"authorization": "Bearer k"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert answer["choices"][0]["message"]["content"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(said.split()[-1], timeout=30)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 0
    assert "POST /v1/chat/completions 200" in rest
    assert "loaded demo" in rest
    assert "Traceback" not in rest


@contextmanager
def half_a_request(url: str) -> Iterator[tuple[socket.socket, bytes]]:
    """Send the first half of a request, which runs meanwhile; yield the other half."""
    body = b'{"prompt": "Once", "max_tokens": 3}'
    head = (
        "POST /v1/completions HTTP/1.1\r\n"
        f"Host: localhost\r\nContent-Length: {len(body)}"
    )
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 30) as one:
        one.sendall(head.encode() + b"\r\n\r\n" + body[:9])
        yield one, body[9:]


@pytest.mark.server
@pytest.mark.parametrize("n_signals", [1, 2])
def test_running_requests_end_at_the_first_signal_or_at_the_second(
    n_signals: int,
) -> None:
    with serving("--on-demand") as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        with half_a_request(url) as (connection, rest):
            with urllib.request.urlopen(url + "/health"):  # the half has arrived
                assert "GET /health 200" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            assert "1 running" in process.stderr.readline()
            if n_signals == 1:
                with pytest.raises(urllib.error.HTTPError, match="503") as refused:
                    urllib.request.urlopen(url + "/health")
                assert refused.value.headers["retry-after"] == "2"
                connection.sendall(rest)
                assert b" 200 OK" in connection.recv(1000)
            else:
                process.send_signal(signal.SIGTERM)
            log = process.stderr.read()
    assert process.returncode == (0 if n_signals == 1 else 130)
    assert "Traceback" not in log
    assert "Once" not in log


@pytest.fixture
def authority() -> Any:
    return pytest.importorskip("trustme").CA()


@pytest.mark.server
def test_a_server_with_a_certificate_speaks_https(
    authority: Any, tmp_path: Path
) -> None:
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(chain), append=True)
    certificate.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with serving("--tls-cert", chain, "--tls-key", key) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split()[-1]
        assert url.startswith("https://127.0.0.1:")
        with urllib.request.urlopen(url + "/health", context=context) as response:
            assert json.load(response) == {"status": "ok"}
        with pytest.raises(OSError):  # noqa: PT011 -- it does not speak HTTP
            urllib.request.urlopen(url.replace("https", "http") + "/health")
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 0


@pytest.mark.server
def test_certificates_are_checked_before_models_are_loaded(
    authority: Any, tmp_path: Path
) -> None:
    ours, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    both, key, locked = (tmp_path / name for name in ("both", "key", "locked"))
    ours.private_key_and_cert_chain_pem.write_to_path(str(both))
    other.private_key_pem.write_to_path(str(key))
    assert checked_certificate(None, None) is None
    assert checked_certificate(both, None) == Certificate(both, None)
    for chain, wrong, said in (
        (None, key, "--tls-key: wanted --tls-cert"),
        (tmp_path / "missing", key, "--tls-cert .*No such file"),
        (key, None, "--tls-cert"),
        (both, key, "--tls-key .*KEY_VALUES_MISMATCH"),
    ):
        with pytest.raises(UsageError, match=said):
            checked_certificate(chain, wrong)
    from cryptography.hazmat.primitives import serialization

    pem = ours.private_key_pem.bytes()
    locked.write_bytes(
        serialization.load_pem_private_key(pem, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(UsageError, match="without a passphrase"):
        checked_certificate(both, locked)

#!/usr/bin/env bash
# gguf 0.19.0: GGUFWriter(endianess=GGUFEndian.BIG) writes float tensors with the highest
# byte first, and quantised ones, and BF16, as they are: with the lowest byte first. They
# are arrays of uint8, on which `byteswap` does nothing. The package's own script
# gguf-convert-endian turns the scales of such blocks, so the two tools make different
# big-endian files of one model, and nothing in a file tells which it is.
#
# A big-endian machine reads the scales of the first kind the wrong way round: numbers of
# all magnitudes, no error.
#
# Seen, of one block of Q8_0 whose scale is 1 (3C 00):
#   F16 scale of 1 in a big-endian file: 3c00
#   Q8_0 scale of 1, by GGUFWriter: 003c
#   Q8_0 scale of 1, by gguf-convert-endian: 3c00
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check "gguf==0.19.0"

cat >write.py <<'END'
import sys

import gguf
import numpy as np

path, order = sys.argv[1:]
file = gguf.GGUFWriter(path, "llama", endianess=gguf.GGUFEndian[order])
file.add_tensor("half", np.ones(32, np.float16))
block = gguf.quants.quantize(np.full((1, 32), 127, np.float32), gguf.GGMLQuantizationType.Q8_0)
file.add_tensor("block", block, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
file.write_header_to_file()
file.write_kv_data_to_file()
file.write_tensors_to_file()
file.close()
END
env/bin/python write.py big.gguf BIG
env/bin/python write.py turned.gguf LITTLE
echo YES | env/bin/gguf-convert-endian turned.gguf big >log 2>&1 || { cat log; exit 1; }

cat >show.py <<'END'
import gguf


def first_bytes(path, name):
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    return open(path, "rb").read()[tensors[name].data_offset :][:2].hex()


print("F16 scale of 1 in a big-endian file:", first_bytes("big.gguf", "half"))
print("Q8_0 scale of 1, by GGUFWriter:", first_bytes("big.gguf", "block"))
print("Q8_0 scale of 1, by gguf-convert-endian:", first_bytes("turned.gguf", "block"))
END

cat >wanted <<'END'
F16 scale of 1 in a big-endian file: 3c00
Q8_0 scale of 1, by GGUFWriter: 003c
Q8_0 scale of 1, by gguf-convert-endian: 3c00
END
env/bin/python show.py 2>&1 | tee found
diff wanted found || { echo "gguf writes big-endian blocks in another way"; exit 1; }

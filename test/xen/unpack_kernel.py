"""test/xen/unpack_kernel.py BZIMAGE VMLINUX - the ELF kernel that a bzImage carries compressed: Xen loads it without unpacking."""
import lzma
import struct
import subprocess
import sys
import zlib


def payload_of(image):
    """The compressed part, as the x86 boot protocol's header describes it."""
    if image[0x202:0x206] != b'HdrS':
        sys.exit(f'{sys.argv[1]} is no bzImage')
    setup_bytes = ((image[0x1f1] or 4) + 1) * 512
    offset, size = struct.unpack_from('<II', image, 0x248)
    return image[setup_bytes + offset:setup_bytes + offset + size]


def unpacked(payload):
    if payload.startswith(b'\xfd7zXZ\0'):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b'\x1f\x8b'):
        return zlib.decompressobj(31).decompress(payload)
    if payload.startswith(b'\x28\xb5\x2f\xfd'):
        return subprocess.run(['zstd', '-dc'], input=payload[:-4], stdout=subprocess.PIPE, check=True).stdout
    return sys.exit(f'{sys.argv[1]}: its compression is not known: {payload[:6].hex()}')


def main():
    with open(sys.argv[1], 'rb') as f:
        elf = unpacked(payload_of(f.read()))
    if not elf.startswith(b'\x7fELF'):
        sys.exit(f'{sys.argv[1]} does not hold an ELF kernel')
    with open(sys.argv[2], 'wb') as f:
        f.write(elf)


main()

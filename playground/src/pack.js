// A folder as one compressed file: a line of JSON with paths and sizes, then the files one after the other.

/** Return the bytes of a folder's files, `[path, bytes]`. */
export function packed(files) {
  const index = new TextEncoder().encode(`${JSON.stringify(files.map(([path, bytes]) => [path, bytes.length]))}\n`);
  const made = new Uint8Array(files.reduce((size, [, bytes]) => size + bytes.length, index.length));
  made.set(index);
  let at = index.length;
  for (const [, bytes] of files) {
    made.set(bytes, at);
    at += bytes.length;
  }
  return made;
}

/** Write what `packed` has returned into a folder of Python's file system. */
export function unpack(FS, bytes, folder) {
  let at = bytes.indexOf(10) + 1;
  const known = new Set();
  for (const [path, size] of JSON.parse(new TextDecoder().decode(bytes.subarray(0, at)))) {
    const place = `${folder}/${path}`;
    const parent = place.slice(0, place.lastIndexOf("/"));
    if (!known.has(parent)) FS.mkdirTree(parent);
    known.add(parent);
    FS.writeFile(place, bytes.subarray(at, at + size));
    at += size;
  }
}

/** Fetch a file, and decompress it unless whatever has served it did so. */
export async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The page of the preview. It runs no script and loads nothing: the picture is a single element of SVG.
function page(svg) {
  const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
  const picture = svg.replace(/^<\?xml[^>]*\?>\s*/, "").replace(/^<!DOCTYPE[^>]*>\s*/, "");
  return `<!DOCTYPE html>
<html><head><meta http-equiv="Content-Security-Policy" content="${policy}">
<style>body { background: white; text-align: center } svg { max-width: 100%; height: auto }</style></head>
<body>${picture}</body></html>`;
}

module.exports = { page };

// Programs that can be changed in place: a link into the playground becomes a frame of it below the program. A browser runs no workers of
// pages that are opened from disk, so there everything stays as it is.
"use strict";

function frame(address, title) {
  const made = document.createElement("iframe");
  made.className = "frame";
  made.src = address;
  made.title = title;
  made.loading = "lazy";
  return made;
}

if (location.protocol === "http:" || location.protocol === "https:") {
  for (const link of document.querySelectorAll(".try a")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // as a page of its own
      event.preventDefault();
      const open = link.parentElement.nextElementSibling;
      if (open?.classList.contains("frame")) return open.remove();
      link.parentElement.after(frame(`${link.href}&embed=edit`, "the program in the playground"));
    });
  }
  for (const place of document.querySelectorAll(".live[data-live]")) place.replaceChildren(frame(place.dataset.live, "LeNet-5 in the playground"));
}

// A page that could not be shown, as the catalog could not be read: loaded again when it can.
document.body.addEventListener("cosmos:hello", () => location.reload());

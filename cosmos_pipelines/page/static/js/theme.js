// Before everything else of a page: the chosen theme, so that no page flashes, and what to do about
// a script or a style sheet that does not arrive. Without it the page would be dead and would not say
// so: it is loaded anew, a few times. Browsers end their requests when the computer's network changes.
try {
  const theme = localStorage.getItem("cosmos-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* the browser keeps nothing for this page */ }

{
  const MOST = 3;
  const WITHIN_MS = 60_000;
  const PAUSE_MS = 500;
  let soon = false;

  addEventListener("error", ({ target }) => {
    if (soon || !target.matches?.("script[src], link[rel=stylesheet]")) return;
    try {
      const times = JSON.parse(sessionStorage.getItem("cosmos-loaded-anew") ?? "[]").filter((time) => time > Date.now() - WITHIN_MS);
      if (times.length >= MOST) return;
      sessionStorage.setItem("cosmos-loaded-anew", JSON.stringify([...times, Date.now()]));
      soon = true;
      setTimeout(() => location.reload(), PAUSE_MS);
    } catch { /* where nothing can be kept, it would be loaded without end */ }
  }, true);
}

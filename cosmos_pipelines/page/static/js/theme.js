// Sets the chosen theme before the first paint, so that no page flashes.
try {
  const theme = localStorage.getItem("cosmos-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* the browser keeps nothing for this page */ }

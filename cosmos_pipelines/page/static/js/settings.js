// The settings of an operation in a form: read, filled, and told what an engine does with each.
const all = () => [...document.querySelectorAll("[data-setting]")];
const control = (setting) => setting.querySelector("input:not([data-part]), select, textarea");
const parts = (setting) => [...setting.querySelectorAll("[data-part]")];
const ofParts = (setting) => setting.dataset.kind === "parts";

// What was filled in, by the names of the fields; texts as they were typed.
export function filled() {
  const found = {};
  for (const setting of all()) {
    const name = setting.dataset.setting;
    if (ofParts(setting)) {
      const given = parts(setting).filter((input) => input.value.trim());
      if (given.length) found[name] = Object.fromEntries(given.map((input) => [input.dataset.part, input.value]));
    } else if (control(setting).value.trim()) found[name] = control(setting).value;
  }
  return found;
}

export function fill(values) {
  for (const setting of all()) {
    const value = values[setting.dataset.setting];
    if (ofParts(setting)) {
      for (const input of parts(setting)) input.value = value?.[input.dataset.part] ?? "";
    } else control(setting).value = value === null || value === undefined ? "" : asText(value);
  }
  showCounts();
}

const asText = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

// A sentence beside each field whose value is refused; "" is the settings as a whole.
export function showProblems(problems) {
  for (const line of document.querySelectorAll("[id^=set-][id$=-problem]")) {
    const name = line.id.slice(4, -8);
    line.textContent = problems[name] ?? "";
    const box = document.getElementById(`set-${name}`);
    problems[name] ? box?.setAttribute("aria-invalid", "true") : box?.removeAttribute("aria-invalid");
    if (problems[name] && box) box.closest("details").open = true;
  }
}

// `engine`: what it refuses, ignores and takes for a field without a value; null: not known yet.
export function showAbilities(engine) {
  for (const setting of all()) {
    const name = setting.dataset.setting;
    const refused = engine && name in engine.refuses;
    const ignored = engine?.ignores.includes(name);
    setting.classList.toggle("is-refused", Boolean(refused));
    const reason = refused && engine.refuses[name] ? `: ${engine.refuses[name]}` : "";
    setting.querySelector(".ability").textContent = refused
      ? `${engine.label} does not have it${reason}.`
      : ignored ? `${engine.label} does not use it.` : "";
    const box = control(setting);
    if (!box || setting.dataset.kind === "json") continue;
    const given = String(engine?.values[name] ?? setting.dataset.default);
    const usual = setting.dataset.kind === "switch" ? { true: "yes", false: "no" }[given.toLowerCase()] ?? given : given;
    if (box.tagName === "SELECT") box.options[0].textContent = usual ? `default (${usual})` : "default";
    else box.placeholder = usual;
  }
}

export function showCounts() {
  const given = filled();
  for (const group of document.querySelectorAll("details.group")) {
    const names = [...group.querySelectorAll("[data-setting]")].map((one) => one.dataset.setting);
    const count = names.filter((name) => name in given).length;
    group.querySelector("[data-count]").textContent = count ? `${count} set` : "";
    if (count && !group.dataset.seen) group.open = true;
    group.dataset.seen = "1";
  }
}

// Light or dark: as the system has it, or as the person wants it in this browser.
(() => {
  "use strict";
  const P = window.parlance;
  const NAME = "parlance-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  const wanted = () => P.recall(NAME) || "system";
  const apply = () => {
    const dark = wanted() === "dark" || (wanted() === "system" && system.matches);
    if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
  };

  P.theme = (name) => {
    if (!name) return wanted();
    P.remember(NAME, name === "system" ? null : name);
    apply();
    return name;
  };

  // Gradio sets the class by itself when it has loaded.
  P.watchTheme = () => {
    apply();
    new MutationObserver(apply).observe(document.body, { attributeFilter: ["class"] });
    system.addEventListener("change", apply);
  };
})();

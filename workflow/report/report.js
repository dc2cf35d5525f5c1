"use strict";
(() => {
  // A link to something inside a closed <details> opens it; what is linked to gets the focus.
  function open(id) {
    const target = id ? document.getElementById(id) : null;
    if (!target) return;
    for (let each = target; each; each = each.parentElement) {
      if (each.tagName === "DETAILS") each.open = true;
    }
    target.scrollIntoView();
    (target.tagName === "DETAILS" ? target.querySelector("summary") : target).focus({preventScroll: true});
  }
  const wanted = () => decodeURIComponent(location.hash.slice(1));
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#"]');
    // After the browser's own jump, also where the address does not change.
    if (link) setTimeout(() => open(link.getAttribute("href").slice(1)), 0);
  });
  window.addEventListener("hashchange", () => open(wanted()));
  open(wanted());

  // Tables: a click on a head sorts; a second one turns the order round. What has no number, where
  // others have, comes last.
  const compare = new Intl.Collator("en", {numeric: true}).compare;
  for (const button of document.querySelectorAll(".sortable thead button")) {
    const head = button.parentElement, column = head.cellIndex;
    button.addEventListener("click", () => {
      const turned = head.getAttribute("aria-sort") === "ascending";
      for (const each of head.parentElement.cells) each.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", turned ? "descending" : "ascending");
      const body = head.closest("table").tBodies[0], rows = [...body.rows], sign = turned ? -1 : 1;
      const order = (row) => parseFloat(row.cells[column].dataset.order);
      const numeric = rows.some((row) => !Number.isNaN(order(row)));
      rows.sort((one, other) => {
        if (!numeric) return sign * compare(one.cells[column].textContent, other.cells[column].textContent);
        const [a, b] = [order(one), order(other)];
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
        return sign * (a - b);
      });
      body.append(...rows);
    });
  }

  // Curves and points: who points at one reads which run it is, and sees it in every panel.
  const pointed = document.getElementById("pointed");
  function mark(figure, runs) {
    for (const path of figure.querySelectorAll(".named path.same")) path.classList.remove("same");
    if (!runs) return;
    for (const path of figure.querySelectorAll(".named path")) {
      if (path.dataset.runs === runs) path.classList.add("same");
    }
  }
  for (const figure of document.querySelectorAll("figure")) {
    for (const path of figure.querySelectorAll(".named path")) {
      const title = path.querySelector("title");
      path.dataset.name = title.textContent;
      title.remove();  // the browser would show it, too
    }
    figure.addEventListener("pointermove", (event) => {
      const path = event.target.closest(".named path");
      pointed.hidden = !path;
      if (!path) return mark(figure, null);
      mark(figure, path.dataset.runs);
      pointed.textContent = path.dataset.name;
      const {offsetWidth: width, offsetHeight: height} = pointed;
      pointed.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
      pointed.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 18}px`;
    });
    figure.addEventListener("pointerleave", () => {
      pointed.hidden = true;
      mark(figure, null);
    });
    for (const button of figure.querySelectorAll("button[data-run]")) {
      for (const name of ["focus", "pointerenter"]) button.addEventListener(name, () => mark(figure, button.dataset.run));
      for (const name of ["blur", "pointerleave"]) button.addEventListener(name, () => mark(figure, null));
    }
  }

  // On paper nothing is closed.
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.part:not([open])")];
    for (const each of closed) each.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const each of closed) each.open = false;
  });
})();

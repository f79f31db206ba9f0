(() => {
  const table = document.querySelector("#nodes table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];

  // A name is searched in `worker-[001-120]` too.
  const sets = rows.map((row) => row.cells[0].textContent.match(/[^,[]+(\[[^\]]*\][^,]*)?/g) ?? []);
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const isIn = (set, name) => {
    const parts = /^([^[]*)\[([\d,-]+)\](.*)$/.exec(set);
    if (!parts || !name.startsWith(parts[1]) || !name.endsWith(parts[3])) return false;
    const digits = name.slice(parts[1].length, name.length - parts[3].length);
    return /^\d+$/.test(digits) && parts[2].split(",").some((range) => {
      const [first, last = first] = range.split("-");
      return +first <= +digits && +digits <= +last && (first[0] !== "0" || first.length === digits.length);
    });
  };
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = "a node, a value, a state";
  input.setAttribute("aria-label", "Search the nodes");
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  told.className = "soft";
  const line = document.createElement("p");
  line.className = "search";
  line.append(input, " ", told);
  table.parentElement.before(line);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, at) => {
      row.hidden = !words.every((word) => texts[at].includes(word) || sets[at].some((set) => isIn(set, word)));
      if (!row.hidden) shown += 1;
    });
    told.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });

  const order = new Intl.Collator("en", { numeric: true });
  [...table.tHead.rows[0].cells].forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const back = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", back ? "descending" : "ascending");
      const text = (row) => row.cells[at].textContent;
      rows.map((row) => [text(row), row])
        .sort(([one], [other]) => order.compare(one, other) * (back ? -1 : 1))
        .forEach(([, row]) => body.append(row));
    });
  });
})();

// The captions over a page. It runs in that page, so it is one plain script without modules, shows
// text as text only, and believes nothing that the page does. The offscreen page tells it all.

(() => {
  /** @typedef {import("./messages.js").ToOverlay} ToOverlay */
  /** @typedef {import("./web/captions.js").Row} Row */
  /** @typedef {{x: number, y: number}} Place Shares of the room that is left, from 0 to 1. */

  const TAG = "live-captions-overlay";
  const SIZES_PX = [16, 20, 24, 30, 38, 48];
  const STEP = 0.04; // by an arrow key
  const NEAR_END_PX = 40;
  /** What the page's own shortcuts must not hear. */
  const OWN_EVENTS = ["keydown", "keyup", "keypress", "click", "dblclick", "pointerdown", "mousedown"];

  /** @type {any} */ const world = globalThis; // of this extension on this page
  world.closeLiveCaptions?.();

  const host = document.createElement(TAG);
  const root = host.attachShadow({ mode: "closed" });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const [card, bar, state, rows, notice, readAloud] = [
    ["section", "card"],
    ["div", "bar"],
    ["span", "state"],
    ["div", "rows"],
    ["p", "notice"],
    ["div", "read-aloud"],
  ].map(([tag, className]) => create(tag, className));
  const move = createButton("⠿", "Move the captions: drag, or use the arrow keys");
  const smaller = createButton("A−", "Smaller text");
  const larger = createButton("A+", "Larger text");
  const stop = createButton("✕", "Stop the captions");
  move.className = "move";

  /** @type {any} */ let settings = { theme: "dark", size: 3 };
  /** @type {Place} */ let place = { x: 0.5, y: 0.94 };
  let isOver = false;
  let isLastNotice = false;

  const port = chrome.runtime.connect();
  port.onMessage.addListener(take);
  port.onDisconnect.addListener(() => {
    isOver = true;
    if (isLastNotice) stop.setAttribute("aria-label", "Close the captions");
    else close();
  });
  world.closeLiveCaptions = close;
  build();

  function build() {
    card.setAttribute("role", "region");
    card.setAttribute("aria-label", "Live captions");
    notice.setAttribute("role", "alert");
    readAloud.setAttribute("aria-live", "polite");
    rows.tabIndex = 0;
    rows.setAttribute("role", "group");
    rows.setAttribute("aria-label", "Words");
    notice.hidden = true;
    rows.hidden = true;
    bar.append(move, state, smaller, larger, stop);
    card.append(bar, rows, notice, readAloud);
    root.append(card);
    for (const type of OWN_EVENTS) host.addEventListener(type, (event) => event.stopPropagation());
    bar.addEventListener("pointerdown", startDrag);
    move.addEventListener("keydown", moveByKey);
    smaller.addEventListener("click", () => resize(-1));
    larger.addEventListener("click", () => resize(1));
    stop.addEventListener("click", () => (isOver ? close() : port.postMessage("stop")));
    document.addEventListener("fullscreenchange", raise);
    dark.addEventListener("change", applySettings);
    chrome.storage.onChanged.addListener(followSettings);
  }

  /** @param {ToOverlay} message */
  function take(message) {
    switch (message.kind) {
      case "looks":
        return void show(message.css, message.settings);
      case "captions":
        return showRows(message.rows);
      case "state":
        state.textContent = message.text;
        return;
      case "notice":
        isLastNotice = message.isLast;
        return write(notice, message.text);
      case "announce":
        readAloud.textContent = message.text;
    }
  }

  /**
   * @param {string} css
   * @param {any} chosen
   */
  async function show(css, chosen) {
    // Constructed, so that the page's own security policy does not forbid it.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
    settings = chosen;
    ({ place = place } = await chrome.storage.local.get("place"));
    if (isOver && !isLastNotice) return; // stopped meanwhile
    applySettings();
    putAt(place);
    host.popover = "manual";
    document.documentElement.append(host);
    raise();
  }

  /** Above all else, also above what fills the screen. */
  function raise() {
    if (!host.isConnected) return;
    if (host.matches(":popover-open")) host.hidePopover();
    host.showPopover();
  }

  function close() {
    document.removeEventListener("fullscreenchange", raise);
    dark.removeEventListener("change", applySettings);
    host.remove();
    if (!isOver) port.disconnect();
    isOver = true;
    // At last: it may throw in a page that outlives its extension.
    chrome.storage.onChanged.removeListener(followSettings);
  }

  // --- words ------------------------------------------------------------------------------

  /** @param {Row[]} shown */
  function showRows(shown) {
    const isAtEnd = rows.scrollHeight - rows.clientHeight - rows.scrollTop < NEAR_END_PX;
    rows.hidden = shown.length === 0;
    while (rows.childElementCount > shown.length) rows.lastElementChild?.remove();
    shown.forEach((row, index) => {
      if (index === rows.childElementCount) rows.append(createRow());
      fill(rows.children[index], row);
    });
    if (isAtEnd) rows.scrollTop = rows.scrollHeight;
  }

  function createRow() {
    const row = create("p", "row");
    row.append(...["who", "final", "unstable", "translation"].map((name) => create("span", name)));
    return row;
  }

  /**
   * @param {Element} element
   * @param {Row} row
   */
  function fill(element, row) {
    const [who, final, unstable, translation] = element.children;
    element.setAttribute("data-kind", row.kind);
    final.classList.toggle("is-unconfirmed", !row.isConfirmed);
    write(who, row.namesSpeaker ? `Speaker ${row.speaker}` : "");
    write(final, row.final);
    write(unstable, row.unstable);
    write(translation, row.translation ?? "");
  }

  /**
   * @param {Element} element
   * @param {string} text
   */
  function write(element, text) {
    // The same again would end a selection, and be read aloud again.
    if (element.textContent !== text) element.textContent = text;
    /** @type {HTMLElement} */ (element).hidden = text === "";
  }

  // --- looks ------------------------------------------------------------------------------

  /** @param {Record<string, chrome.storage.StorageChange>} changes */
  function followSettings(changes) {
    if (!changes.settings) return;
    settings = changes.settings.newValue;
    applySettings();
  }

  function applySettings() {
    const auto = dark.matches ? "dark" : "light";
    card.dataset.theme = settings.theme === "auto" ? auto : settings.theme;
    card.style.setProperty("--size", `${SIZES_PX[settings.size - 1]}px`);
    rows.scrollTop = rows.scrollHeight;
  }

  /** @param {1 | -1} step */
  function resize(step) {
    const size = Math.max(1, Math.min(SIZES_PX.length, settings.size + step));
    settings = { ...settings, size };
    applySettings();
    void chrome.storage.local.set({ settings });
  }

  /** @param {PointerEvent} event */
  function startDrag({ target, pointerId, clientX, clientY, button }) {
    const isButton = /** @type {Element} */ (target).closest("button:not(.move)");
    if (button !== 0 || isButton) return;
    const from = place;
    const { width, height } = host.getBoundingClientRect();
    const drag = (/** @type {PointerEvent} */ event) =>
      putAt({
        x: from.x + (event.clientX - clientX) / Math.max(1, innerWidth - width),
        y: from.y + (event.clientY - clientY) / Math.max(1, innerHeight - height),
      });
    bar.setPointerCapture(pointerId);
    bar.addEventListener("pointermove", drag);
    bar.addEventListener("lostpointercapture", () => {
      bar.removeEventListener("pointermove", drag);
      keepPlace();
    }, { once: true });
  }

  /** @param {KeyboardEvent} event */
  function moveByKey(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (!step) return;
    event.preventDefault();
    putAt({ x: place.x + step[0] * STEP, y: place.y + step[1] * STEP });
    keepPlace();
  }

  /** @param {Place} wanted */
  function putAt({ x, y }) {
    const inside = (/** @type {number} */ share) => Math.max(0, Math.min(1, share));
    place = { x: inside(x), y: inside(y) };
    host.style.setProperty("--x", String(place.x));
    host.style.setProperty("--y", String(place.y));
  }

  function keepPlace() {
    if (!isOver) void chrome.storage.local.set({ place });
  }

  // --- elements ---------------------------------------------------------------------------

  /**
   * @param {string} tag
   * @param {string} className
   */
  function create(tag, className) {
    const element = document.createElement(tag);
    element.className = className;
    return element;
  }

  /**
   * @param {string} text
   * @param {string} label
   */
  function createButton(text, label) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.setAttribute("aria-label", label);
    button.title = label;
    return button;
  }
})();

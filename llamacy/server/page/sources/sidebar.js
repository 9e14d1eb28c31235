// The list of chats. Its entries are links, whose address names the chat: they open in
// other tabs, and the browser's "back" works.

import { byId, element } from "./dom.js";
import { state, titleOf } from "./state.js";

/** Show all chats, the one used last first. */
export function showChats() {
  const chats = [...state.chats.values()].sort((one, other) => other.updated - one.updated);
  const focused = document.activeElement?.closest("#chats a")?.hash;
  byId("chats").replaceChildren(...chats.map((chat) => element("li", {}, linkTo(chat))));
  if (focused) document.querySelector(`#chats a[href="${CSS.escape(focused)}"]`)?.focus();
  if (state.chats.has(state.current?.id)) byId("new-chat").removeAttribute("aria-current");
  else byId("new-chat").setAttribute("aria-current", "page");
}

function linkTo(chat) {
  return element(
    "a",
    {
      href: `#${chat.id}`,
      "aria-current": chat.id === state.current?.id ? "page" : null,
      class: state.runs.has(chat.id) ? "writing" : null,
    },
    titleOf(chat),
  );
}

/** On narrow screens the list lies above the conversation, and closes when it was used. */
export function watchSidebar() {
  const opener = byId("open-sidebar");
  opener.addEventListener("click", () => toggle(true));
  byId("veil").addEventListener("click", () => toggle(false));
  byId("sidebar").addEventListener("click", (event) => {
    if (event.target.closest("a")) toggle(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !isOpen()) return;
    event.stopPropagation(); // it would stop an answer
    toggle(false);
    opener.focus();
  });
}

function isOpen() {
  return byId("sidebar").classList.contains("open");
}

function toggle(open) {
  if (open === isOpen()) return;
  byId("sidebar").classList.toggle("open", open);
  byId("veil").hidden = !open;
  byId("open-sidebar").setAttribute("aria-expanded", String(open));
  document.querySelector("main").inert = open;
  if (open) byId("new-chat").focus();
}

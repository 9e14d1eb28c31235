// Chats as files.

import { saveFile } from "./dom.js";
import { titleOf } from "./state.js";

export function exportMarkdown(chat) {
  const parts = chat.messages.map(
    ({ role, content }) => `## ${role === "user" ? "Question" : "Answer"}\n\n${content.trim()}\n`,
  );
  const system = chat.system ? [`> ${chat.system.replaceAll("\n", "\n> ")}\n`] : [];
  const text = [`# ${titleOf(chat)}\n`, ...system, ...parts].join("\n");
  saveFile(fileName(chat, "md"), "text/markdown", text);
}

export function exportJSON(chat) {
  const text = JSON.stringify({ ...chat, title: titleOf(chat) }, null, 2);
  saveFile(fileName(chat, "json"), "application/json", text);
}

/** Return a file name of letters, numbers and hyphens, which all systems allow. */
function fileName(chat, suffix) {
  const words = titleOf(chat).toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ["chat"];
  return `${words.join("-")}.${suffix}`;
}

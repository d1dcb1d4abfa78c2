// What is more convenient with a script. Every page works without it.
"use strict";

// Copying. Browsers have no clipboard for pages that come by plain HTTP, but an older way to it. If
// that fails too, what was to be copied stays selected, for the keyboard.
async function copy(from) {
	try {
		await navigator.clipboard.writeText("value" in from ? from.value : from.textContent);
		return true;
	} catch {
		if (from.select) from.select();
		else getSelection().selectAllChildren(from);
		return document.execCommand("copy");
	}
}
for (const button of document.querySelectorAll("[data-copy]")) {
	button.hidden = false;
	const label = button.textContent;
	button.addEventListener("click", async () => {
		if (!await copy(document.getElementById(button.dataset.copy))) return;
		button.textContent = button.dataset.done;
		const status = document.getElementById("copied");
		if (status) status.textContent = button.dataset.done;
		setTimeout(() => { button.textContent = label; }, 2000);
	});
}
document.querySelector(".secret")?.addEventListener("focus", e => e.target.select());

// Exact times in the reader's own time zone.
const exactly = { dateStyle: "medium", timeStyle: "long" };
let clock;
try {
	clock = new Intl.DateTimeFormat(document.documentElement.lang, exactly);
} catch { // a language that this browser does not know how to take
	clock = new Intl.DateTimeFormat(undefined, exactly);
}
for (const time of document.querySelectorAll("time")) {
	time.title = clock.format(new Date(time.dateTime));
}

// A day counts with the choice that it belongs to: it is hidden without, and then not sent either.
function chooseDay() {
	const day = document.getElementById("date");
	if (day) day.disabled = !document.querySelector('[name="expiry"][value="date"]').checked;
}
document.addEventListener("change", chooseDay);
window.addEventListener("pageshow", chooseDay);

// A form is sent once. The server sees to that too, so that it may be sent again after a while: no
// answer may have come.
const answerWithin = 5000; // milliseconds
function sendOnce(form) {
	form.addEventListener("submit", event => {
		if (form.dataset.sent) {
			event.preventDefault();
			return;
		}
		form.dataset.sent = "yes";
		form.querySelector("button:not([type=button])")?.setAttribute("aria-disabled", "true");
		setTimeout(mayBeSent, answerWithin, form);
	});
}
function mayBeSent(form) {
	delete form.dataset.sent;
	form.querySelector("button[aria-disabled]")?.removeAttribute("aria-disabled");
}
document.querySelectorAll("form[data-once]").forEach(sendOnce);
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-once]").forEach(mayBeSent));

// Questions are asked in a dialog, which holds the page that asks them: one at a time.
let asking = false;
document.addEventListener("click", async event => {
	const link = event.target.closest("a[data-dialog]");
	if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
	event.preventDefault();
	if (asking) return;
	asking = true;
	let asked;
	try {
		const response = await fetch(link.href, { credentials: "same-origin" });
		const page = new DOMParser().parseFromString(await response.text(), "text/html");
		asked = response.ok && page.querySelector("form.ask");
		// Relative to that page, not to this one.
		if (asked) {
			asked.setAttribute("action", new URL(asked.getAttribute("action"), response.url).href);
			for (const a of asked.querySelectorAll("a")) a.href = new URL(a.getAttribute("href"), response.url).href;
		}
	} catch { /* the page itself will tell */ }
	if (!asked) {
		asking = false;
		location.assign(link.href);
		return;
	}
	const dialog = document.createElement("dialog");
	const heading = asked.querySelector("h1");
	heading.id = "question";
	dialog.setAttribute("aria-labelledby", heading.id);
	dialog.append(document.adoptNode(asked));
	document.body.append(dialog);
	sendOnce(asked);
	asked.querySelector("[data-close]")?.addEventListener("click", e => {
		e.preventDefault();
		dialog.close();
	});
	dialog.addEventListener("click", e => { if (e.target === dialog) dialog.close(); });
	dialog.addEventListener("close", () => {
		asking = false;
		dialog.remove();
		link.focus();
	});
	dialog.showModal();
});

// What is wrong with a form, or was done, is read first.
document.querySelector("[data-read]")?.focus();

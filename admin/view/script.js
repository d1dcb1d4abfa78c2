// Conveniences. Every page works without this script.
"use strict";
const root = document.querySelector(".apikey");

// Copy buttons. Over plain HTTP browsers offer only the older execCommand. If that fails too, the text
// stays selected for the keyboard.
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

// Tooltips show exact times in the reader's time zone.
const exactly = { dateStyle: "medium", timeStyle: "long" };
let clock;
try {
	clock = new Intl.DateTimeFormat(root.closest("[lang]").lang, exactly);
} catch { // the browser does not know the language of the page
	clock = new Intl.DateTimeFormat(undefined, exactly);
}
for (const time of document.querySelectorAll("time:not([data-day])")) {
	time.title = clock.format(new Date(time.dateTime));
}

// The field for a day is sent only with the choice "On a date". Without it the style hides the field.
function chooseDay() {
	const day = document.getElementById("date");
	if (day) day.disabled = !document.querySelector('[name="expiry"][value="date"]')?.checked;
}
document.addEventListener("change", chooseDay);
window.addEventListener("pageshow", chooseDay);

// A form is sent once, and its button says so until the response comes. The server makes one key for each
// form, so the form may be sent again after a while.
const answerWithin = 5000; // milliseconds
function sendOnce(form) {
	form.addEventListener("submit", event => {
		if (form.dataset.sent) {
			event.preventDefault();
			return;
		}
		form.dataset.sent = "yes";
		const button = form.querySelector("button:not([type=button])");
		if (button) {
			button.setAttribute("aria-disabled", "true");
			button.dataset.label = button.textContent;
			button.textContent = root.dataset.wait;
		}
		setTimeout(mayBeSent, answerWithin, form);
	});
}
function mayBeSent(form) {
	delete form.dataset.sent;
	const button = form.querySelector("button[aria-disabled]");
	if (!button) return;
	button.removeAttribute("aria-disabled");
	button.textContent = button.dataset.label;
}
document.querySelectorAll("form[data-once]").forEach(sendOnce);
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-once]").forEach(mayBeSent));

// Links with data-dialog open the form of their page in a dialog, one at a time.
let asking = false;
document.addEventListener("click", async event => {
	const link = event.target.closest("a[data-dialog]");
	if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
	event.preventDefault();
	if (asking) return;
	asking = true;
	link.setAttribute("aria-busy", "true");
	let form;
	try {
		const response = await fetch(link.href, { credentials: "same-origin" });
		const page = new DOMParser().parseFromString(await response.text(), "text/html");
		form = response.ok && page.querySelector("form.ask");
		// URLs are relative to that page, not to this one.
		if (form) {
			form.setAttribute("action", new URL(form.getAttribute("action"), response.url).href);
			for (const a of form.querySelectorAll("a")) a.href = new URL(a.getAttribute("href"), response.url).href;
		}
	} catch { /* the page itself shows the error */ }
	link.removeAttribute("aria-busy");
	if (!form) {
		asking = false;
		location.assign(link.href);
		return;
	}
	const dialog = document.createElement("dialog");
	const heading = form.querySelector("h1");
	heading.id = "question";
	dialog.setAttribute("aria-labelledby", heading.id);
	dialog.append(document.adoptNode(form));
	root.append(dialog);
	sendOnce(form);
	form.querySelector("[data-close]")?.addEventListener("click", e => {
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

// Screen readers read a problem or a result first.
document.querySelector("[data-read]")?.focus();

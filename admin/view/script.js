// What is more convenient with a script. Every page works without it.
"use strict";

// Copying. The buttons are hidden where nothing would come of them.
for (const button of document.querySelectorAll("[data-copy]")) {
	if (!navigator.clipboard) continue;
	button.hidden = false;
	const label = button.textContent;
	button.addEventListener("click", async () => {
		const from = document.getElementById(button.dataset.copy);
		try {
			await navigator.clipboard.writeText("value" in from ? from.value : from.textContent);
		} catch {
			if (from.select) from.select(); // for the keyboard
			return;
		}
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

// A form is sent once. The server sees to that too.
function sendOnce(form) {
	form.addEventListener("submit", event => {
		if (form.dataset.sent) {
			event.preventDefault();
			return;
		}
		form.dataset.sent = "yes";
		form.querySelector("button:not([type=button])")?.setAttribute("aria-disabled", "true");
	});
}
document.querySelectorAll("form[data-once]").forEach(sendOnce);
window.addEventListener("pageshow", () => {
	for (const form of document.querySelectorAll("form[data-once]")) {
		delete form.dataset.sent;
		form.querySelector("button[aria-disabled]")?.removeAttribute("aria-disabled");
	}
});

// Questions are asked in a dialog, which holds the page that asks them.
document.addEventListener("click", async event => {
	const link = event.target.closest("a[data-dialog]");
	if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
	event.preventDefault();
	let asked;
	try {
		const response = await fetch(link.href, { credentials: "same-origin" });
		const page = new DOMParser().parseFromString(await response.text(), "text/html");
		asked = response.ok && page.querySelector("form.ask");
		// Relative to that page, not to this one.
		if (asked) asked.setAttribute("action", new URL(asked.getAttribute("action"), response.url).href);
	} catch { /* the page itself will tell */ }
	if (!asked) {
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
		dialog.remove();
		link.focus();
	});
	dialog.showModal();
});

// What is wrong with a form is read first.
document.getElementById("problems")?.focus();

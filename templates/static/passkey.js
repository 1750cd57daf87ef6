// The browser's part of signing in with a passkey, and of making one. Where the browser knows no passkeys, their form
// stays hidden.
(() => {
	'use strict';

	const form = document.querySelector('form[data-passkey]');
	const kind = window.PublicKeyCredential;
	if (!form || !kind?.parseCreationOptionsFromJSON || !kind.parseRequestOptionsFromJSON) return;

	const create = form.dataset.passkey === 'create';
	const options = JSON.parse(form.dataset.options);
	const said = form.querySelector('[role=alert]');
	let offer = new AbortController();
	form.hidden = false;
	document.querySelector('[data-instead]')?.remove();

	let sent = false; // the browser's own offer may be taken at the moment in which the button is pressed
	const send = (credential) => {
		if (sent) return;
		sent = true;
		form.elements.passkey.value = JSON.stringify(credential);
		form.submit();
	};

	const get = (more) => navigator.credentials.get({ publicKey: kind.parseRequestOptionsFromJSON(options), ...more });

	const problems = {
		InvalidStateError: 'This device has a passkey for your account already.',
		NotAllowedError: 'No passkey was used. Press the button to try again.',
	};

	form.addEventListener('submit', async (event) => {
		event.preventDefault();
		offer.abort();
		said.textContent = '';
		try {
			send(await (create ? navigator.credentials.create({ publicKey: kind.parseCreationOptionsFromJSON(options) }) : get()));
		} catch (err) {
			said.textContent = problems[err.name] ?? `The browser refuses: ${err.message}`;
		}
	});

	// The browser offers passkeys where the name is typed.
	if (!create) {
		kind.isConditionalMediationAvailable?.()
			.then((offers) => offers && get({ mediation: 'conditional', signal: offer.signal }).then(send))
			.catch(() => {});
	}
})();
